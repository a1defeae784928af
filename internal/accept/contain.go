package accept

import (
	"fmt"
	"strings"

	"github.com/compassdigital/reconciler/internal/manifest"
)

// ruleProgram is broken by a file that this program can't read for an error of its own.
const ruleProgram = "program"

// hintProgram is what people can do about it.
const hintProgram = "report it; everything else goes on, and the last good version stays"

// reading reads a file. An error in this program that it runs into makes that file
// invalid, and keeps no other from being accepted.
func reading(file string, read func() manifest.Problems) (problems manifest.Problems) {
	defer func() {
		if v := recover(); v != nil {
			problems = manifest.Problems{{Path: file, Rule: ruleProgram, Text: brokenBy(v), Hint: hintProgram}}
		}
	}()
	return read()
}

func brokenBy(v any) string {
	line, _, _ := strings.Cut(fmt.Sprint(v), "\n")
	return "reading it runs into an error in this program: " + line
}
