package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// welcome says what there is.
func (a *app) welcome(p *program, o demoOptions, busy []string) string {
	end := "removed at the end; --keep keeps it"
	if o.keep {
		end = "kept at the end"
	}
	_, port, _ := net.SplitHostPort(p.listensAt())
	base := "http://" + p.listensAt()
	text := fmt.Sprintf(`
reconciler demo: one YAML file per client in Git; a push provisions it, a revert takes it back.
All of it runs on this machine, in %[1]s (%[2]s).

  dashboard  %[3]s/
  sites      http://demoshop.localhost:%[4]s/    or %[3]s/sites/demoshop/
  Git        %[3]s/git/clients.git
  forge      %[3]s/forge/    pull requests, with their plans and results
  API        %[3]s/api/clients
  mail       %[3]s/mail/    caught, sent to nobody
`, o.dir, end, base, port)
	if p.sims != nil {
		text += fmt.Sprintf(`  vendors    %[1]s/simulated/    what they have, and how to make them fail

Ploi, Vercel, Railway, Cloudflare, Resend, Stripe and Payload's sites are simulated: the daemon
speaks with them over HTTP as with the real ones, and nothing leaves the machine. Sites show what
was built, not a shop; behind Railway's databases there is no server, and the sites need none.
`, base)
		for _, name := range simulatedVendors() {
			text += fmt.Sprintf("  %-10s %s\n", name, p.sims.where(name))
		}
	} else {
		text += "  DNS        " + p.dns.Addr() + "\n"
	}
	text += "\n"
	for _, b := range busy {
		text += b + "\n"
	}
	if o.fail != "" {
		text += "The first " + o.fail + " step fails, as --fail asked for.\n"
	}
	for _, f := range o.faults {
		text += "A vendor fails, as --fault asked for: " + f + "\n"
	}
	return text + "The clients come up:\n\n"
}

// tries says what to try. The commands are run as they stand here by a test.
func (a *app) tries(p *program, o demoOptions, failed []string) string {
	base := "http://" + p.listensAt()
	ask := fmt.Sprintf("\n  curl %s/sites/demoshop/", base)
	if p.dns != nil {
		host, port, _ := net.SplitHostPort(p.dns.Addr())
		ask = fmt.Sprintf(", and ask for its name%s\n  dig @%s -p %s demoshop.localhost", ask, host, port)
	}
	text := fmt.Sprintf(`
In a browser: open %[1]s/forge/, edit a file there, and see the plan on its pull request
before you merge it.

Or try this in another terminal. What comes of a push stands there and here.

  # look at a site%[2]s

  # 1. add a client
  git clone %[1]s/git/clients.git && cd clients
  sed 's/demoshop/secondshop/g; s/Demo Shop/Second Shop/' clients/demoshop.yaml > clients/secondshop.yaml
  git add . && git commit -m "Add secondshop" && git push

  # 2. take it back: its site and name go, its database stays for 30 days
  git revert --no-edit HEAD && git push

  # 3. take that back: here it is again, with the same database
  git revert --no-edit HEAD && git push

  # 4. change it
  sed 's/Second Shop/Better Shop/' clients/secondshop.yaml > new && mv new clients/secondshop.yaml
  git commit -a -m "Call it Better Shop" && git push

  # 5. break it: you are told where, and the shop keeps running
  sed 's/^plan: starter/plan: startr/' clients/secondshop.yaml > new && mv new clients/secondshop.yaml
  git commit -a -m "Misspell the plan" && git push

  # 6. mend it
  git revert --no-edit HEAD && git push

`, base, ask)
	command, data := startedAs(a.env), " --data "+quoted(o.dir)
	for _, name := range failed {
		text += "  # mend what failed: try it again\n  " + command + " retry " + name + data + "\n\n"
	}
	if p.sims != nil {
		text += "  # 7. let a vendor fail, and change something meanwhile: nothing is made twice, nothing lost\n  curl -d cloudflare:503:30s " + base + simulatedPath + "/faults\n\n" +
			"  # 8. take payments: open " + base + "/clients/timmerhout in a browser, go \"to stripe\", and finish\n\n" +
			"  # ask what is wrong with the accounts\n  " + command + " doctor" + data + "\n\n"
	} else {
		text += "  # 7. change a DNS record behind its back: what drifted is told, and put back at a word\n  sed -i.bak s/status.timmerhout.example/elsewhere.example/ " + quoted(o.dir) + "/dns/records/*.json\n" +
			"  " + command + " drift timmerhout" + data + "\n  " + command + " retry timmerhout" + data + "\n\n"
	}
	return text + "  # ask the program\n  " + command + " status" + data + "\n  " + command + " why secondshop" + data + `
  (also: plan, history, logs, drift, retained, pause, resume; --fail STEP shows a failure and its repair)

Ctrl-C stops.

`
}

// startedAs is how this program was started, as a command for a shell.
func startedAs(env func(string) string) string {
	exe, err := os.Executable()
	if err != nil {
		return "reconciler"
	}
	if dir, err := os.Getwd(); err == nil && madeByGoRun(exe) {
		return "go -C " + quoted(dir) + " run ./cmd/reconciler"
	}
	for _, dir := range filepath.SplitList(env("PATH")) {
		if filepath.Join(dir, filepath.Base(exe)) == exe {
			return filepath.Base(exe)
		}
	}
	return quoted(exe)
}

// madeByGoRun says that `go run` made the program: for this start, or an earlier one, whose program
// Go keeps in its cache.
func madeByGoRun(exe string) bool {
	dir := filepath.Base(filepath.Dir(exe))
	return strings.Contains(exe, "go-build") && dir == "exe" || keptByGo.MatchString(dir)
}

var keptByGo = regexp.MustCompile(`^[0-9a-f]{64}-d$`) // a folder of Go's cache, by the program's digest

// quoted is a word for a shell.
func quoted(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%,=") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
