package report

// pulled is a plan on a pull request.
func pulled(p Plan) PullPlan {
	return PullPlan{Stage: StagePlanned, Head: "3f9c2ab001122334455667788990011223344556", Base: "a41d07c001122334455667788990011223344556", Files: len(p.Changes), Checked: true, Plan: p, At: day(1).Add(4 * 60e9)}
}
