package poller

// permit is Permit, or one that permits all.
func (c Config) permit() func() error {
	if c.Permit == nil {
		return func() error { return nil }
	}
	return c.Permit
}

// HoldOff lets no request out for the second in which another process may have made its
// last ones. Above the vendor's rate nothing is held back.
func (p *Poller) HoldOff() {
	if p.fetch.quota.slots != nil {
		p.fetch.quota.hold(vendorSpan)
	}
	if p.reader != nil {
		p.reader.fetch.quota.hold(vendorSpan)
	}
}
