package local

// A theme of content: what one built-in template says before a client adds anything.
type look struct {
	Kind        string // schema.org-like word under the name: Shop, Journal
	Accent      string // #rrggbb
	Headline    string
	Lead        string
	Action      string // text of the main link
	Collections []collection
}

// collection is what the client's editors would fill; here it has samples.
type collection struct {
	Slug    string
	Title   string
	Lead    string
	Feature string // shown only with this feature; "" always
	Priced  bool
	Items   []item
}

type item struct {
	Title, Text string
	Price       string // without currency; "" none
}

// feature is a section of the front page.
type feature struct{ Slug, Title, Text string }

func posts(needs string) collection {
	return collection{
		Slug: "blog-posts", Title: "Journal", Feature: needs,
		Lead: "Notes from behind the counter.",
		Items: []item{
			{Title: "How we choose what we sell", Text: "Fewer things, made closer by, and the questions that we ask their makers."},
			{Title: "A day in the workshop", Text: "From the first coffee to the last parcel: what happens before you open the box."},
			{Title: "Caring for what you own", Text: "Small habits that make good things last longer than their guarantee."},
		},
	}
}

func cases() collection {
	return collection{
		Slug: "cases", Title: "Work", Lead: "A selection, with what was asked and what came of it.",
		Items: []item{
			{Title: "Harbour library", Text: "Wayfinding for a building that people get lost in gladly."},
			{Title: "Northern rail", Text: "A timetable that can be read while running."},
			{Title: "Orchard & Sons", Text: "An identity that fits on a crate of apples."},
		},
	}
}

// looks returns the built-in templates by name.
func looks() map[string]look {
	return map[string]look{
		"ecommerce": {
			Kind: "Shop", Accent: "#0f766e",
			Headline: "Good things, sent with care", Action: "See the collection",
			Lead: "A small range that we know well, packed by hand and sent within a day.",
			Collections: []collection{
				{Slug: "products", Title: "Products", Lead: "In stock now.", Priced: true, Items: []item{
					{Title: "Linen apron", Text: "Washed linen, deep pockets, two lengths.", Price: "48.00"},
					{Title: "Stoneware mug", Text: "Thrown by hand; no two are the same.", Price: "24.50"},
					{Title: "Walnut board", Text: "Oiled, end grain, made from one plank.", Price: "72.00"},
					{Title: "Beeswax candles", Text: "Four of them, eleven hours each.", Price: "19.95"},
				}},
				{Slug: "orders", Title: "Your orders", Lead: "Where a parcel is and how to send it back.", Items: []item{
					{Title: "Follow a parcel", Text: "The number is in the mail that we sent you."},
					{Title: "Send something back", Text: "Within thirty days, without a reason."},
				}},
				posts("blog"),
			},
		},
		"blog": {
			Kind: "Journal", Accent: "#b45309",
			Headline: "Worth reading slowly", Action: "Start reading",
			Lead:        "Essays and notes, one a week, without a feed that wants you back.",
			Collections: []collection{posts(""), {Slug: "authors", Title: "Authors", Lead: "Who writes here.", Items: []item{{Title: "The editors", Text: "Two people, one kettle, many drafts."}}}},
		},
		"b2b": {
			Kind: "Trade", Accent: "#1d4ed8",
			Headline: "Supplies for people who make things", Action: "Open the catalogue",
			Lead: "Trade prices, fixed delivery days, and a person who answers the telephone.",
			Collections: []collection{
				{Slug: "products", Title: "Catalogue", Lead: "Prices without tax, for each carton.", Priced: true, Items: []item{
					{Title: "Board, 18 mm", Text: "Birch, pallet of 40.", Price: "1180.00"},
					{Title: "Edge tape", Text: "22 mm, 200 m a roll.", Price: "31.20"},
					{Title: "Hinges, soft close", Text: "Carton of 100.", Price: "164.00"},
				}},
				{Slug: "orders", Title: "Standing orders", Lead: "What comes when, and how to change it.", Items: []item{
					{Title: "Delivery days", Text: "Tuesdays and Fridays before ten."},
				}},
				cases(),
				posts("blog"),
			},
		},
		"portfolio": {
			Kind: "Studio", Accent: "#be185d",
			Headline: "Made with patience", Action: "See the work",
			Lead:        "Design for places, print and screens, by a studio that takes few commissions.",
			Collections: []collection{cases(), posts("blog")},
		},
		"corporate": {
			Kind: "Company", Accent: "#4338ca",
			Headline: "The work behind things that work", Action: "What we do",
			Lead: "Engineering, maintenance and advice for buildings that have to stay open.",
			Collections: []collection{
				{Slug: "services", Title: "Services", Lead: "What we are called for.", Items: []item{
					{Title: "Inspection", Text: "Once a year, with a report that can be read."},
					{Title: "Maintenance", Text: "Planned, at night if it must be."},
					{Title: "Advice", Text: "Before you build, when it still costs little."},
				}},
				cases(),
				posts("blog"),
			},
		},
	}
}

// known returns the features that have words of their own; others are shown under
// their name.
func known() map[string]feature {
	return map[string]feature{
		"ecommerce":     {Title: "Checkout", Text: "Pay by card, transfer or on delivery; the receipt comes by mail."},
		"blog":          {Title: "Journal", Text: "News and stories, written by the people who do the work."},
		"forms":         {Title: "Write to us", Text: "A form that reaches a person, answered within a working day."},
		"auth":          {Title: "Your account", Text: "Sign in to see orders, addresses and what you saved for later."},
		"multiLanguage": {Title: "In your language", Text: "The same pages in every language that we speak."},
		"ai":            {Title: "Ask the assistant", Text: "Describe what you look for; it knows the whole range."},
		"newsletter":    {Title: "Letter", Text: "One letter a month. Leave whenever you like."},
	}
}
