package main

import (
	"syscall"
	"time"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/publisher/natstest"
)

// do does a deed, or leaves it out if there is nobody to whom it can be done.
func (p *pair) do(d deed) {
	switch d.Harm {
	case harmNode, harmMajority:
		p.takeNodes(d)
		return
	case harmCopyOld:
		p.runFor(p.copied("old copy", p.old), d)
		return
	case harmOlder:
		pl := p.newPlace("older", p.t.TempDir())
		pl.further = true
		c := p.launchBinary(pl, *pairOlder)
		c.older = true
		p.endAfter(c, d)
		return
	}
	c := p.target(d)
	if c == nil {
		return
	}
	p.done[d.Harm]++
	if c.status.Role == web.RoleWriter {
		p.struck++
	}
	pl := c.place
	switch d.Harm {
	case harmKill, harmCopyBoth:
		file := p.killed(c)
		if pl.further {
			return
		}
		pl.busy = true
		p.after(d.For, func() {
			pl.busy = false
			if d.Harm == harmCopyBoth {
				d.For = 7 * time.Second
				p.runFor(p.copied("copy", file), d)
			}
			p.launch(pl)
		})
	case harmStop:
		p.stopped(c, d.For)
	case harmFreeze:
		p.alone(c)
		pl.busy, c.frozen = true, true
		c.signal(syscall.SIGSTOP)
		p.mark("freeze " + c.name)
		p.after(d.For, func() {
			pl.busy, c.frozen = false, false
			if !c.over() {
				c.thaws = append(c.thaws, time.Now())
				c.signal(syscall.SIGCONT)
				p.mark("thaw " + c.name)
			}
		})
	case harmHold, harmLose, harmCut:
		p.alone(c)
		pl.busy, c.troubled = true, true
		pl.link.Set(d.Harm.trouble())
		p.mark(d.Harm.String() + " the network of " + c.name)
		p.after(d.For, func() {
			pl.busy, c.troubled = false, false
			pl.link.Set(natstest.None)
			c.aloneTo = time.Now().Add(leaseTime)
			p.mark("mend the network of " + c.name)
		})
	case harmCopy:
		p.old = p.file(c)
		p.runFor(p.copied("copy", p.old), d)
	}
}

// alone notes whether a process that is cut off goes on, as one that knows of nobody else.
func (p *pair) alone(c *contestant) {
	c.look()
	if s := c.status; s.Role == web.RoleWriter && s.Lease != nil && len(s.Lease.Standbys) == 0 {
		c.aloneFrom, c.aloneTo = time.Now(), time.Now().Add(time.Hour)
	}
}

// killed kills a process and returns its state file.
func (p *pair) killed(c *contestant) []byte {
	p.t.Helper()
	c.kill()
	c.ended = time.Now()
	p.mark("kill " + c.name + " " + c.status.Role)
	file := p.file(c)
	if c.status.Role == web.RoleWriter {
		p.deaths = append(p.deaths, death{c.ended, c, p.waits(file)})
	}
	return file
}

// stopped stops a process, and starts the next one in its place a while after its end.
func (p *pair) stopped(c *contestant, then time.Duration) {
	pl := c.place
	pl.busy = true
	c.stopped = time.Now()
	c.signal(syscall.SIGTERM)
	p.mark("stop " + c.name)
	var ended func()
	ended = func() {
		switch {
		case !c.over() && time.Since(c.stopped) < pairStop:
			p.after(50*time.Millisecond, ended)
			return
		case !c.over():
			p.t.Errorf("%s runs %s after SIGTERM", c.name, pairStop)
			return
		}
		c.ended = time.Now()
		p.mark("ended " + c.name)
		if status := c.cmd.ProcessState.ExitCode(); status != 0 {
			p.t.Errorf("%s was stopped, exit status %d:\n%s", c.name, status, c.output)
		}
		p.after(then, func() {
			pl.busy = false
			if !pl.further {
				p.launch(pl)
			}
		})
	}
	p.after(20*time.Millisecond, ended)
}

// takeNodes takes one or two nodes of the cluster away for a while.
func (p *pair) takeNodes(d deed) {
	if p.nodeBusy {
		return
	}
	p.done[d.Harm]++
	p.nodeBusy = true
	nodes := []int{d.N % natstest.Nodes}
	if d.Harm == harmMajority {
		nodes = append(nodes, (d.N+1)%natstest.Nodes)
		for _, c := range p.all {
			if !c.over() && !c.older {
				p.alone(c)
			}
		}
	}
	for _, n := range nodes {
		p.c.Stop(n)
	}
	p.mark("nodes away")
	p.after(d.For, func() {
		for _, n := range nodes {
			p.c.Start(n)
		}
		p.nodeBusy = false
		for _, c := range p.all {
			c.aloneTo = time.Now().Add(2 * leaseTime)
		}
		p.mark("nodes are back")
	})
}

// runFor runs a further process for a while.
func (p *pair) runFor(pl *place, d deed) {
	if d.Harm == harmCopyOld {
		p.done[d.Harm]++
	}
	p.endAfter(p.launch(pl), d)
}

// endAfter ends a further process.
func (p *pair) endAfter(c *contestant, d deed) {
	if c.older {
		p.done[d.Harm]++
	}
	p.after(d.For, func() {
		switch {
		case c.over() || !c.stopped.IsZero():
		case d.N%2 == 0 || c.place.busy || c.older:
			p.lookAll()
			p.killed(c)
		default:
			p.stopped(c, 0)
		}
	})
}
