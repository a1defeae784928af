package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// threat is a row of the threat table: what somebody may try, the tests that prove that it
// comes to nothing, and what of it can only be proved once a later part is there.
type threat struct {
	what   string
	proofs string // tests and fuzz targets, as room.Name; the program's rooms are cmd/…
	waits  string // for what; "" for nothing
}

// threats are numbered from 1. A test that is there for a row alone is named after it:
// TestThreat04….
func threats() []threat {
	return []threat{
		{"a proposal leads to writes or tells secrets", "cmd/reconciler.TestThreat01PlanWritesNothing reconcile.TestThreat01AThousandProposals plan.TestP2AWriteDoesNotCompile plan.TestP2PlanningReachesNothingThatWrites review.TestS07RuleForkIsStatic cmd/reconciler.TestS07Fork", ""},
		{"markup, mentions and forged marks in comments", "report.TestThreat02MarkdownIsText report.TestThreat02ProposalsAreText report.FuzzMarkdown report.FuzzDoors report.TestS48HostileTextInEveryField report.TestS48LongTextHidesNoConsequence report.TestS48HostileTextInEveryComment report.FuzzComments report.TestMarkers review.TestCommentIsFoundByMarkerAndAuthor", ""},
		{"scripts on a page", "web.TestThreat03Payloads web.TestS48HostileTextIsTextOnThePages web.TestS48Links web.TestHeaders web.FuzzPages web.FuzzFrame github/simulated.TestCommentsOfOthersDoNothing github/simulated.FuzzMarkdown", "a real browser over the live page"},
		{"links and paths in the repository", "source.TestThreat04Traversal source.TestOddEntries source.TestStrangeNames source.TestHostileForks source.FuzzTree manifest.FuzzTree secret/sources.TestFolderHostile gitserver.TestNames gitserver.FuzzRequest", ""},
		{"files and packs that cost time and memory", "manifest.TestHostileFiles manifest.TestLimits manifest.FuzzClient source.TestBlobLimits source.TestHostileForks source.TestPacksThatSwell source.TestLongAnswer source.TestStalledAnswer gitserver.FuzzRequest review.TestThreat05MoreThanCanBeKept", ""},
		{"requests that cost the server", "github.TestThreat06Bodies github.TestThreat06Flood github.TestThreat06Dribble cmd/reconciler.TestWebhookFlood cmd/reconciler.TestS47Webhooks provider/stripe.TestHandlerReadsFewAtOnce cmd/reconciler.TestThreat06SilentConnections daemon.TestControlBoundsRequests daemon.TestASlowCallerHoldsNobody", ""},
		{"signatures got around", "github.TestThreat07Signatures github.FuzzWebhook provider/stripe.TestVerify provider/stripe.TestVerifyOddTime provider/stripe.TestHandlerRefusesAlike", ""},
		{"deliveries sent again", "github.TestThreat08Replays github.TestMutatedPayloads github.FuzzHint cmd/reconciler.TestS47Webhooks", ""},
		{"pages and commands for people who may not", "web.TestOnlyThisMachineIsAnswered web.TestNoPublicURLIsNobodysName web.TestOnlyReading web.FuzzGuard daemon.TestSocketRefuses cmd/reconciler.TestDemoGitIsForThisMachine cmd/reconciler.TestDemoFaults cmd/reconciler.FuzzFault github/simulated.TestPagesAreForWhoeverSitsHere", "tokens and their roles"},
		{"streams that nobody reads", "web.FuzzResume web.FuzzFrame", "the event stream's address"},
		{"health checks aimed at private addresses", "health.TestThreat11PrivateAddressesAreRefused health.TestThreat11Rebinding health.TestAnswers health.FuzzAddress health.FuzzWhere cmd/reconciler.TestThreat11OnlyTheSitesPort cmd/reconciler.TestThreat11NoPrivateSiteIsAsked cmd/reconciler.TestThreat11SourcesAreNoWayIn", ""},
		{"secrets in logs, errors and comments", "cmd/reconciler.TestP10NoSecretLeaks web.TestWayToPayments cmd/reconciler.TestPaymentsFromFirstToLast cmd/reconciler.TestFirstUserOfAPayloadSite cmd/reconciler.TestP10PlantedLeaksAreFound cmd/reconciler.TestP10LeaksOfKilledProcessesAreFound cmd/reconciler.TestDoctorTellsWhatIsWrong cmd/reconciler.TestP10ConfigRepeatsNoPassword cmd/reconciler.FuzzConfig secret/canary.TestP10EverySpellingIsFound secret.FuzzRedact cmd/reconciler.TestS45Rotation secret/sources.FuzzDocument secret/sources.FuzzAge secret/sources.TestSopsHostile secret/sources.TestSopsEnvironment manifest.TestThreat12GluedSecrets source.TestP10TokenIsNowhere github.TestP10NoTokenInErrors provider/httpapi.TestP10NoTokenInErrors github.FuzzAnswers github.FuzzTokens provider/stripe.FuzzAnswers cmd/reconciler.TestP10LeaksToGitHubAreFound cmd/reconciler.TestP10TheLookSeesEveryRoute cmd/reconciler.TestP10LeaksInProposalsAreFound cmd/reconciler.TestP10LeaksInMailsAreFound cmd/reconciler.TestP10LeaksOfScriptsAreFound cmd/validate.TestP10LeaksOfScriptsAreFound", ""},
		{"secrets at rest", "secret.TestThreat13EveryFlippedBit secret.FuzzOpen secret.TestKeyFileRefused bolt.TestSwappedRecords bolt.TestFlippedBits bolt.TestNothingReadable bolt.FuzzRecord bolt.FuzzHeader secret.TestRenew bolt.TestP8Rekey cmd/reconciler.TestP10Rekey", ""},
		{"answers of a hostile provider", "provider/localdns.FuzzReply provider/external.FuzzObject provider/objectstore.FuzzObject provider/sqlite.FuzzFile provider/cloudflare.FuzzAnswers provider/sqlite.TestP5DamageIsNotAbsence drift.FuzzPatch reconcile.TestS41AdoptDriftOfRecordsRefuses cmd/reconciler.TestP10ProvidersWordsAreConcealed provider/vercel.FuzzAnswers provider/vercel.FuzzEvents provider/vercel.TestHostileAnswers provider.TestP10FollowedLinesAreConcealed provider/httpapi.TestLines provider/ploi.FuzzAnswers provider/ploi.FuzzDecode provider/ploi.TestHostileAnswers provider/railway.FuzzAnswers provider/railway.TestHostileLists provider/payload.FuzzAnswers provider/resend.FuzzAnswers provider/smtp.FuzzReply provider/letter.FuzzNameIn provider/stripe.FuzzAccount provider/stripe.FuzzVerify provider/httpapi.TestBodiesAreBounded provider/httpapi.TestRedirects provider/ploi.TestIDs provider/payload.FuzzID", ""},
		{"credentials sent elsewhere by Git", "github.TestRedirects source.TestRedirects source.TestRefusedURLs source.TestP10TokenIsNowhere source.TestSSH source.TestResolverHostile source.TestResolverSlowHost source.FuzzAdvertised cmd/reconciler.TestThreat15TokenForSources", ""},
		{"another client's host name, and names below or above it", "manifest.TestThreat16Hosts manifest.TestThreat16PublicSuffixes manifest.FuzzHost accept.TestRuleIdentityIncumbentKeepsTheName accept.TestThreat16NestedNames accept.TestLawsOverRandomHistories manifest.TestRuleIdentityTheIncumbentKeepsItsName manifest.TestTrees reconcile.TestThreat16NestedNamesInAPlan reconcile.TestS43WhoHadANameKeepsIt cmd/validate.TestScripts", "zones that the operator allows a client: a domain that no client has and that somebody else registered (github.com) is taken"},
		{"guards loosened by the repository", "manifest.TestThreat17GuardIsNoManifests accept.TestRuleGuardPlatformOnlyTightens", ""},
		{"variables that load code or hold secrets", "manifest.TestThreat18Environment manifest.TestS46PastedSecrets", ""},
		{"approvals by anybody", "accept.TestS37RuleGuardBulk accept.TestRuleApprovalServesItsPlanOnceWithinADay plan.TestRuleReviewWhatFingerprintsBind daemon.TestSocketRefuses review.TestS08RuleWhoMayCommand review.TestPermissionOfTheMoment review.TestRuleApproveIsBoundToTheHead", ""},
		{"dependencies and CI", "..TestThreat20SupplyChain ..TestThreat20WorkflowForClients", "image digests, provenance of releases"},
		{"what strangers are told", "web.TestThreat21NothingIsToldToStrangers web.TestOnlyThisMachineIsAnswered", ""},
		{"two objects with one hash", "source.TestThreat22CollisionsAreDetected", "comparing the head with what GitHub says of it"},
		{"lines forged in a log", "cmd/reconciler.TestThreat23LogLines report.FuzzDoors", ""},
		{"other users of the machine", "cmd/reconciler.TestThreat24NobodyElseReads secret.TestKeyFileRefused secret/sources.TestFolderModes", "the unit file, and tokens that may too much"},
		{"headers, tags and links in a mail", "provider/letter.TestNoHeaderComesIn provider/letter.FuzzMIME provider/mailbox.TestNoHeaderComesIn report.TestNoticesAreOnlyOurs", ""},
	}
}

// Every threat is proved by tests that exist, or says what it waits for; and a test that
// is named after a threat stands in its row.
func TestThreatsAreProved(t *testing.T) {
	there := testsByRoom(t)
	listed := map[string]bool{}
	for i, x := range threats() {
		if x.proofs == "" && x.waits == "" {
			t.Errorf("threat %d (%s) is neither proved nor waits for anything", i+1, x.what)
		}
		for _, proof := range strings.Fields(x.proofs) {
			dot := strings.LastIndex(proof, ".")
			room, name := proof[:dot], proof[dot+1:]
			if !slices.Contains(there[room], name) {
				t.Errorf("threat %d (%s): there is no test %s in %s", i+1, x.what, name, room)
			}
			listed[name] = true
		}
		if x.waits != "" {
			t.Logf("threat %d (%s) waits for: %s", i+1, x.what, x.waits)
		}
	}
	named := regexp.MustCompile(`^TestThreat[0-9]{2}`)
	targets := 0
	for room, names := range there {
		for _, name := range names {
			if named.MatchString(name) && !listed[name] {
				t.Errorf("%s.%s stands in no row", room, name)
			}
			if strings.HasPrefix(name, "Fuzz") {
				targets++
			}
		}
	}
	if len(threats()) != 25 || targets < 10 {
		t.Errorf("%d threats, %d fuzz targets", len(threats()), targets)
	}
}

// testsByRoom are the names of tests and fuzz targets by the folder they are in.
func testsByRoom(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	for _, root := range []string{".", "../cmd"} {
		err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(file, "_test.go") {
				return err
			}
			f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			room := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(file)), "../")
			for _, decl := range f.Decls {
				if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && (strings.HasPrefix(fn.Name.Name, "Test") || strings.HasPrefix(fn.Name.Name, "Fuzz")) {
					out[room] = append(out[room], fn.Name.Name)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Threat 20: CI runs foreign code at pinned commits only, may write nothing that a release
// doesn't need, and never runs a stranger's code with our rights; modules come as go.sum
// has them.
func TestThreat20SupplyChain(t *testing.T) {
	files, err := filepath.Glob("../.github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatal("no workflows", err)
	}
	uses, pinned := regexp.MustCompile(`(?m)^\s*-?\s*uses:\s*(\S+)`), regexp.MustCompile(`^[a-z-]+/[a-z-]+@[0-9a-f]{40}$`)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text := string(data)
		for _, m := range uses.FindAllStringSubmatch(text, -1) {
			if !pinned.MatchString(m[1]) {
				t.Errorf("%s uses %s, which is not pinned by commit", file, m[1])
			}
		}
		head, _, _ := strings.Cut(text, "\njobs:")
		if !strings.Contains(head, "permissions: {}") && !strings.Contains(head, "permissions:\n  contents: read\n") {
			t.Errorf("%s may do more than read by default", file)
		}
		for _, bad := range []string{"pull_request_target", "workflow_run", "${{ github.event.pull_request.title", "${{ github.event.pull_request.body", "${{ github.head_ref", "${{ github.event.comment", "write-all", "curl "} {
			if strings.Contains(text, bad) {
				t.Errorf("%s has %s", file, bad)
			}
		}
		if n := strings.Count(text, "actions/checkout@"); n != strings.Count(text, "persist-credentials: false") {
			t.Errorf("%s: a checkout leaves its token", file)
		}
	}
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`(?m)^\s*(replace|exclude|retract)\b`).Match(mod) {
		t.Error("go.mod replaces a module")
	}
	image, err := os.ReadFile("../Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^USER [1-9]`).Match(image) || regexp.MustCompile(`(?m)^FROM \S+:latest|^ADD http`).Match(image) {
		t.Error("the image runs as root, or takes what nobody pinned")
	}
}
