package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/diff/secret"
)

const (
	mostAnswer    = 64 << 10 // bytes of an answer that are read
	mostRedirects = 3
)

// A sender makes requests of one target.
type sender struct {
	target func() rules.Target // as it is at the moment
	route  *route              // nil where the transport was given
	client http.Client

	// Of e-mail.
	dial   dialFunc                                                              // nil: as the target says
	missed func(ctx context.Context, n form.Notification, count int, who string) // gets the recipients that an e-mail did not go to while others got it; may be nil
}

// newSender returns a sender; a nil transport means one that connects as the target
// says.
func newSender(t *rules.Target, transport http.RoundTripper) *sender {
	s := &sender{target: func() rules.Target { return *t }}
	if transport == nil {
		s.route = &route{}
		transport = s.route
	}
	s.client = http.Client{Transport: transport, Timeout: t.RequestTimeout(), CheckRedirect: sameHost}
	return s
}

// follow makes the sender read the files of the target before each request.
func (s *sender) follow(t *rules.Target, log *slog.Logger) error {
	if len(t.Files()) == 0 {
		return nil
	}
	f, err := secret.Open("files of target "+t.Name, log, t.With, t.Files()...)
	if err != nil {
		return fmt.Errorf("%w: %w", errConfig, err)
	}
	s.target = f.Value
	return nil
}

// hider takes the secrets of a target out of text.
func hider(t *rules.Target) *strings.Replacer {
	var pairs []string
	for _, s := range t.Secrets() {
		pairs = append(pairs, s, form.Hidden)
	}
	return strings.NewReplacer(pairs...)
}

// sameHost follows a redirect only where it keeps to the host and the port that
// the rule file names, and to POST with its body: 307 and 308.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	if len(via) > mostRedirects || req.Method != http.MethodPost || req.URL.Scheme != first.Scheme || req.URL.Host != first.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

// send tells a notification once. No secret of the target is in the error,
// whatever the other side answers.
func (s *sender) send(ctx context.Context, n form.Notification) error {
	t := s.target()
	hide := hider(&t)
	if s.route != nil {
		s.route.follow(&t)
	}
	to := spokenTo(&t)
	if t.Kind == "email" {
		return s.mail(ctx, &t, to, n, hide)
	}
	if !to.HasCover(n) {
		return s.post(ctx, to, n, hide)
	}
	// Slack refuses a message whose picture it cannot read: the news is worth more. Both
	// requests together take no longer than one may.
	within, cancel := context.WithTimeout(ctx, t.RequestTimeout())
	defer cancel()
	err := s.post(within, to, n, hide)
	if no, ok := errors.AsType[*form.Refusal](err); ok && no.Permanent {
		to.Cover = false
		return s.post(within, to, n, hide)
	}
	return err
}

// post makes one request.
func (s *sender) post(ctx context.Context, to form.Target, n form.Notification, hide *strings.Replacer) error {
	req, err := to.Request(ctx, n, time.Now())
	if err != nil {
		return &form.Refusal{Text: hide.Replace(err.Error()), Permanent: true}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return s.failed(err, hide)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return s.failed(err, hide) // whether it was taken is unknown: it is told again, under its id
	}
	// What the other side says may repeat what it was sent.
	shown := hide.Replace(string(body))
	err = to.Judge(form.Answer{Status: resp.StatusCode, Header: resp.Header, Body: []byte(shown)}, time.Now())
	if r, ok := errors.AsType[*form.Refusal](err); ok {
		r.Text = hide.Replace(r.Text)
	}
	return err
}

// spokenTo returns what package form knows of a target.
func spokenTo(t *rules.Target) form.Target {
	return form.Target{
		Kind: t.Kind, URL: t.URL, Secret: t.Secret, Token: t.Token, Chat: t.Chat, Texts: t.Texts, Digests: t.Digests, Language: t.Language, Zone: t.Location(),
		Body: t.JSON, Values: t.Values, Headers: t.Headers, Username: t.Username, Password: t.Password, Alert: t.Alert(), Envelope: t.Envelope(),
		Cover: t.Cover, Link: t.Leads,
	}
}

// failed is an error without the URL that [http.Client] puts in front.
func (s *sender) failed(err error, hide *strings.Replacer) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	text := hinted(err)
	if errors.Is(err, context.DeadlineExceeded) || strings.Contains(text, "Client.Timeout") {
		text = "no answer within " + s.client.Timeout.String()
	}
	return &form.Refusal{Text: hide.Replace(text)}
}

// hinted is the text of an error, with what to do about one that the rule file can mend.
func hinted(err error) string {
	text := err.Error()
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		text += "; if the certificate is of an authority of your own, name its file with ca_file"
	}
	return text
}
