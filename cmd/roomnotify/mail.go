package main

import (
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"strings"
	"time"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
)

const mostReason = 400 // characters

// mail sends a notification by e-mail, once: one message to all recipients. If the
// server accepts some of them, it goes to these, and is not sent again, as
// they would have it twice; s.missed is told of the others.
func (s *sender) mail(ctx context.Context, t *rules.Target, to form.Target, n form.Notification, hide *strings.Replacer) error {
	message, err := to.Letter(n, time.Now())
	if err != nil {
		return &form.Refusal{Text: hide.Replace(err.Error()), Permanent: true}
	}
	ctx, cancel := context.WithTimeout(ctx, t.RequestTimeout())
	defer cancel()
	session, err := openMail(ctx, t, s.dialer(t))
	if err != nil {
		return mailFailed(ctx, t.RequestTimeout(), err, hide)
	}
	refused, err := session.send(to.Envelope, message)
	if err != nil {
		session.abort()
		return mailFailed(ctx, t.RequestTimeout(), err, hide)
	}
	session.quit()
	if len(refused) > 0 && s.missed != nil {
		var who []string
		for _, r := range refused {
			who = append(who, r.address+" ("+mailFailed(ctx, t.RequestTimeout(), r.err, hide).Error()+")")
		}
		s.missed(ctx, n, len(refused), strings.Join(who, ", "))
	}
	return nil
}

// dialer returns what connects to a mail server.
func (s *sender) dialer(t *rules.Target) dialFunc {
	if s.dial != nil {
		return s.dial
	}
	return dialer(t).DialContext
}

// mailFailed says what an error means that came within a time. No secret of the
// target is in it, whatever the server replied.
func mailFailed(ctx context.Context, within time.Duration, err error, hide *strings.Replacer) error {
	step, known := errors.AsType[*stepError](err)
	if reply, ok := errors.AsType[*textproto.Error](err); ok && known {
		r := form.JudgeReply(step.at, reply.Code, form.Clean(hide.Replace(reply.Msg), 200))
		r.Text = hide.Replace(r.Text)
		return r
	}
	text := hinted(err)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		text = "no answer within " + within.String()
		if known {
			text = fmt.Sprintf("%s: %s", step.at, text)
			if step.at == form.Content {
				text += "; if the server needs longer to check an e-mail, set timeout: it may have accepted this one"
			}
		}
	}
	return &form.Refusal{Text: hide.Replace(form.Clean(hide.Replace(text), mostReason))} // it may have words of the server
}

// reachMail opens a session with a mail server, with the login, and sends no e-mail.
// No secret is in the error.
func reachMail(ctx context.Context, t *rules.Target) error {
	ctx, cancel := context.WithTimeout(ctx, mailReachWait)
	defer cancel()
	session, err := openMail(ctx, t, dialer(t).DialContext)
	if err != nil {
		return mailFailed(ctx, mailReachWait, err, hider(t))
	}
	session.quit()
	return nil
}

// missed notes the recipients that an e-mail did not go to, while others got it.
func (d *daemon) missed(t *rules.Target) func(context.Context, form.Notification, int, string) {
	return func(ctx context.Context, n form.Notification, count int, who string) {
		d.metrics.missed.WithLabelValues(t.Name).Add(float64(count))
		d.log.ErrorContext(ctx, "recipients refused", "target", t.Name, "kind", t.Kind, "host", t.Host(), "id", n.ID, "recipients", who,
			"fix", "correct the addresses, or remove them; the e-mail went to the others, and is not sent again")
	}
}
