package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
)

const (
	mostAnswer    = 64 << 10 // bytes of an answer that are read
	mostRedirects = 3
)

// A sender makes requests of one target.
type sender struct {
	form   form.Target
	client http.Client
	hide   *strings.Replacer
}

// newSender returns a sender; a nil transport means one that takes the standard
// variables for proxies from the environment.
func newSender(t *rules.Target, transport http.RoundTripper) *sender {
	if transport == nil {
		own := http.DefaultTransport.(*http.Transport).Clone()
		own.MaxIdleConnsPerHost = workers(t)
		own.MaxResponseHeaderBytes = mostAnswer
		transport = own
	}
	var pairs []string
	for _, s := range t.Secrets() {
		pairs = append(pairs, s, "(secret)")
	}
	return &sender{
		form:   form.Target{Kind: t.Kind, URL: t.URL, Secret: t.Secret, Token: t.Token, Chat: t.Chat},
		client: http.Client{Transport: transport, Timeout: t.RequestTimeout(), CheckRedirect: sameHost},
		hide:   strings.NewReplacer(pairs...),
	}
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
	req, err := s.form.Request(ctx, n, time.Now())
	if err != nil {
		return &form.Refusal{Text: s.hide.Replace(err.Error()), Permanent: true}
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return s.failed(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, mostAnswer))
	if err != nil {
		return s.failed(err) // whether it was taken is unknown: it is told again, under its id
	}
	// What the other side says may repeat what it was sent.
	shown := s.hide.Replace(string(body))
	err = s.form.Judge(form.Answer{Status: resp.StatusCode, Header: resp.Header, Body: []byte(shown)}, time.Now())
	if r, ok := errors.AsType[*form.Refusal](err); ok {
		r.Text = s.hide.Replace(r.Text)
	}
	return err
}

// failed is an error without the URL that [http.Client] puts in front.
func (s *sender) failed(err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	text := err.Error()
	if errors.Is(err, context.DeadlineExceeded) || strings.Contains(text, "Client.Timeout") {
		text = "no answer within " + s.client.Timeout.String()
	}
	return &form.Refusal{Text: s.hide.Replace(text)}
}
