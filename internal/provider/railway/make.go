package railway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/compassdigital/reconciler/internal/provider"
	"github.com/compassdigital/reconciler/internal/state"
)

// partLag is how long after a call without an answer its effect may still show up: lists may
// be a minute late, and volumeCreate was seen to work for 30 seconds before a gateway gave up
// (issue 56 of terraform-community-providers/terraform-provider-railway).
const partLag = listLag + 30*time.Second

// maxTried is how many calls are remembered.
const maxTried = 50_000

// environmentName is what the only environment of a project is called.
const environmentName = "production"

// Create implements provider.Provider. The project comes first: it bears the name and the
// mark. What fails after that is left to Update, which says why.
func (p *Provider) Create(ctx context.Context, w provider.Wish) (provider.Object, error) {
	if err := p.ready(ctx, opCreate, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	access, k, err := p.wished(opCreate, w)
	if err != nil {
		return provider.Object{}, err
	}
	workspace, err := p.inWorkspace(ctx)
	if err != nil {
		return provider.Object{}, err
	}
	c := caller{p, opCreate}
	got, err := makeProject(ctx, c, workspace, w.Name, marked("", w.Mark, true), environmentName)
	if err != nil {
		return provider.Object{}, err
	}
	made := got.ProjectCreate
	if !plainID(made.Id) {
		return provider.Object{}, c.odd(errors.New("the project has no id"))
	}
	p.note(attempt{made.Id, ""}, nil)
	d := &database{id: made.Id, name: w.Name, description: marked("", w.Mark, true), mark: w.Mark, making: true}
	if len(made.Environments.Edges) > 0 {
		d.environment = made.Environments.Edges[0].Node.Id
	}
	if err := p.finish(ctx, work{caller: c, wish: w, access: access, kept: k, sure: true}, d); err != nil {
		return d.made(provider.Unfinished, messageOf(err)), nil
	}
	return d.made(provider.Progressing, "its deployment begins"), nil
}

// made is the object as it is known without a look.
func (d *database) made(phase provider.Phase, message string) provider.Object {
	return provider.Object{ID: d.id, Kind: state.KindDatabase, Name: d.name, Mark: d.mark, Phase: phase, Message: message, Outputs: []provider.Output{{Name: "id", Text: d.id}}}
}

// Update implements provider.Provider. It makes what is missing of what Create left, and
// changes the access, the attributes and the mark of what is whole.
func (p *Provider) Update(ctx context.Context, id string, w provider.Wish) (provider.Object, error) {
	if err := p.ready(ctx, opUpdate, w.Ref.Kind); err != nil {
		return provider.Object{}, err
	}
	access, k, err := p.wished(opUpdate, w)
	if err != nil {
		return provider.Object{}, err
	}
	d, err := p.whole(ctx, id, work{caller: caller{p, opUpdate}, wish: w, access: access, kept: k})
	var unclear *provider.Error
	if errors.Is(err, errEarlier) && errors.As(err, &unclear) { // a process that ends would never see that time
		if err := p.sleep(ctx, unclear.Until.Sub(p.now())); err != nil {
			return provider.Object{}, p.fail(provider.Transient, opUpdate, "it was given up while it was looked for", err)
		}
		d, err = p.whole(ctx, id, work{caller: caller{p, opUpdate}, wish: w, access: access, kept: k})
	}
	if err != nil {
		return provider.Object{}, err
	}
	return d.made(provider.Progressing, "its deployment begins"), nil
}

// whole looks at a database and makes what is missing.
func (p *Provider) whole(ctx context.Context, id string, k work) (*database, error) {
	found, err := p.databases(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, p.fail(provider.NotFound, opUpdate, "project "+shown(id)+" is not there", nil)
	}
	d := found[0]
	if d.service != "" {
		if err := p.render(ctx, found); err != nil {
			return nil, err
		}
	}
	return d, p.finish(ctx, k, d)
}

// work is what a call of finish is about.
type work struct {
	caller
	wish   provider.Wish
	access string
	kept   kept
	// sure says that nothing of what is missing can be on its way: it was never asked for.
	sure bool
}

// finish brings a database to a wish, each part by a call of its own, in an order in which
// what was done can be seen. A part that is missing is only made when no earlier call for it
// can still have an effect.
func (p *Provider) finish(ctx context.Context, k work, d *database) error {
	if d.environment == "" {
		return p.fail(provider.Transient, k.op, "its environment does not show yet", nil)
	}
	for _, put := range []func(context.Context, *work, *database) error{p.putService, p.putVolume, p.putAccess, p.putVariables, p.putImage, p.putMark, p.putDeployment} {
		if err := put(ctx, &k, d); err != nil {
			return err
		}
	}
	return nil
}

func (p *Provider) putService(ctx context.Context, k *work, d *database) error {
	if d.service != "" {
		p.shows(d, partService)
		return nil
	}
	if len(d.several) > 0 {
		return p.fail(provider.Invalid, k.op, d.which(), nil)
	}
	if !d.making {
		return p.fail(provider.Invalid, k.op, "its service is gone, and the data with it: an empty one never takes its place; restore it at Railway", nil)
	}
	if err := p.unsure(k, d, partService); err != nil {
		return err
	}
	password, err := newPassword(p.random)
	if err != nil {
		return p.fail(provider.Transient, k.op, "no password can be made", err)
	}
	got, err := makeService(ctx, k, d.id, d.environment, serviceName, variablesFor(password, k.kept))
	if err == nil && !plainID(got.ServiceCreate.Id) {
		err = k.odd(errors.New("the service has no id"))
	}
	err = conceal(err, password)
	if p.note(attempt{d.id, partService}, err); err != nil {
		return err
	}
	d.service = got.ServiceCreate.Id
	k.sure, d.read, d.variables = true, true, map[string]string{attributesOf: k.kept.text()}
	return nil
}

func (p *Provider) putVolume(ctx context.Context, k *work, d *database) error {
	if d.volume != nil {
		p.shows(d, partVolume)
		return nil
	}
	if d.lost(p.now()) {
		return p.fail(provider.Invalid, k.op, "its volume is gone, and the data with it: an empty one never takes its place; restore it at Railway", nil)
	}
	if !d.making {
		return nil // it only does not show
	}
	if err := p.unsure(k, d, partVolume); err != nil {
		return err
	}
	got, err := makeVolume(ctx, k, d.id, d.environment, d.service, dataPath)
	if err == nil && got.VolumeCreate.Id == "" {
		err = k.odd(errors.New("the volume has no id"))
	}
	p.note(attempt{d.id, partVolume}, err)
	return err
}

func (p *Provider) putAccess(ctx context.Context, k *work, d *database) error {
	if len(d.proxies) > 0 {
		p.shows(d, partProxy)
	}
	if k.access == private {
		for _, x := range d.proxies {
			got, err := dropProxy(ctx, k, x.ID)
			if err := k.did(err, err == nil && got.TcpProxyDelete); err != nil {
				return err
			}
		}
		d.proxies = nil
		return nil
	}
	if len(d.proxies) > 0 {
		return nil
	}
	if err := p.unsure(k, d, partProxy); err != nil {
		return err
	}
	if d.deployment != nil && under(d.deployment.Status) {
		return p.fail(provider.Transient, k.op, "a deployment is under way, and its public address takes another one", nil)
	}
	got, err := makeProxy(ctx, k, d.environment, d.service, port)
	if err == nil && got.TcpProxyCreate.Id == "" {
		err = k.odd(errors.New("the proxy has no id"))
	}
	p.note(attempt{d.id, partProxy}, err)
	if err == nil {
		d.proxies = []proxy{{ID: got.TcpProxyCreate.Id, SyncStatus: "CREATING", CreatedAt: p.now().UTC().Format(time.RFC3339)}}
		d.deployment, k.sure = nil, true
	}
	return err
}

func (p *Provider) putVariables(ctx context.Context, k *work, d *database) error {
	if have, ok := d.kept(); ok && have == k.kept {
		return nil
	}
	got, err := setVariables(ctx, k, d.id, d.environment, d.service, map[string]string{attributesOf: k.kept.text()})
	return k.did(err, err == nil && got.VariableCollectionUpsert)
}

func (p *Provider) putImage(ctx context.Context, k *work, d *database) error {
	if d.image != "" || !d.making {
		return nil
	}
	got, err := setImage(ctx, k, d.environment, d.service, Image)
	return k.did(err, err == nil && got.ServiceInstanceUpdate)
}

// putMark says whose it is, and that it is whole but for its deployment: from now on there
// may be data.
func (p *Provider) putMark(ctx context.Context, k *work, d *database) error {
	if !d.making && d.mark == k.wish.Mark {
		return nil
	}
	_, err := describeProject(ctx, k, d.id, marked(d.description, k.wish.Mark, false))
	if err == nil {
		d.making, d.mark = false, k.wish.Mark
	}
	return err
}

// putDeployment starts what is not running, or what runs without a proxy that was made since. One that came to nothing
// (an image that could not be fetched, say) is started again: Railway does not by itself.
func (p *Provider) putDeployment(ctx context.Context, k *work, d *database) error {
	if d.deployment != nil && ended(d.deployment.Status) {
		p.shows(d, partDeployment)
	} else if d.deployment != nil {
		waits := func(x proxy) bool { return x.SyncStatus == "CREATING" && later(x.CreatedAt, d.deployment.CreatedAt) }
		if !slices.ContainsFunc(d.proxies, waits) || under(d.deployment.Status) {
			p.shows(d, partDeployment)
			return nil
		}
	}
	if err := p.unsure(k, d, partDeployment); err != nil {
		return err
	}
	got, err := deploy(ctx, k, d.environment, d.service)
	if err == nil && got.ServiceInstanceDeployV2 == "" {
		err = k.odd(errors.New("the deployment has no id"))
	}
	p.note(attempt{d.id, partDeployment}, err)
	return err
}

func later(a, b string) bool {
	x, errX := time.Parse(time.RFC3339, a)
	y, errY := time.Parse(time.RFC3339, b)
	return errX == nil && errY == nil && x.After(y)
}

// did is the outcome of a call that answers with a boolean.
func (c caller) did(err error, ok bool) error {
	if err != nil || ok {
		return err
	}
	return c.odd(errors.New("it said neither yes nor why not"))
}

// The parts that a second call would make twice.
const (
	partService    = "service"
	partVolume     = "volume"
	partProxy      = "proxy"
	partDeployment = "deployment"
)

// errEarlier is why a part is not made that a call of an earlier process may have made: its
// time is counted from the start of this one.
var errEarlier = errors.New("an earlier process may have asked for it")

// trial is when a call was made, and what Railway said where it refused.
type trial struct {
	at   time.Time
	said string
}

// attempt names a call for a part of a project; for the project itself the part is "".
type attempt struct{ project, part string }

// unsure refuses to make a part unless it was looked for after an earlier call for it could
// still show up: a call of this process, or of an earlier one, of which nothing is known but
// that it ended before this one began. The time is that at which the look began: one that took
// its time shows what was there then.
func (p *Provider) unsure(k *work, d *database, part string) error {
	if k.sure {
		return nil
	}
	p.mu.Lock()
	last, tried := p.tried[attempt{d.id, part}]
	_, mine := p.tried[attempt{d.id, ""}]
	if !tried && !mine {
		last.at = p.began
	}
	p.mu.Unlock()
	until, words := last.at.Add(partLag), ""
	if !tried && mine || !d.asOf.Before(until) {
		return nil
	}
	var cause error
	if !tried {
		cause = errEarlier
	}
	if last.said != "" {
		words = "; to that call Railway answered: " + last.said
	}
	e := p.fail(provider.Transient, k.op, fmt.Sprintf("an earlier call may have made its %s, which does not show yet; it is looked for until %s%s", part, until.UTC().Format("15:04:05 MST"), words), cause)
	e.Until = until
	return e
}

// note remembers a call for a part that happened, or may have.
func (p *Provider) note(a attempt, err error) {
	if err != nil && provider.KindOf(err) != provider.Uncertain {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.tried) >= maxTried {
		clear(p.tried)
		p.began = p.now()
	}
	p.tried[a] = trial{at: p.now()}
	if errors.Is(err, errRefused) {
		p.tried[a] = trial{p.now(), messageOf(err)}
	}
}

// shows forgets a call whose effect was seen.
func (p *Provider) shows(d *database, part string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.tried, attempt{d.id, part})
}

// conceal takes a password out of what Railway says about the call that sent it.
func conceal(err error, password string) error {
	var pe *provider.Error
	if !errors.As(err, &pe) || !strings.Contains(pe.Message, password) {
		return err
	}
	out := *pe
	out.Message = strings.ReplaceAll(pe.Message, password, state.Redacted)
	return &out
}
