package manifest

// CheckTreeOver is CheckTree for a change that is to be judged. rules, unless nil,
// are the platform file and the templates that decide in place of the tree's own;
// a template that only the tree has counts all the same. rank says who comes first
// when two claim a name: the lower; among equals the path decides. The tree's own
// platform file and templates are checked too.
func CheckTreeOver(l Layout, files, rules []File, d Defaults, rank func(path string) int) ([]Effective, Problems) {
	return checkTree("", l, files, rules, d, rank)
}
