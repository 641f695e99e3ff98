package form

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"roomwatch/publisher/events"
)

// A Target says how a service is spoken to, and with what secrets.
type Target struct {
	Kind   string // webhook, slack, discord, feishu, wecom, telegram, dingtalk, email or alertmanager
	URL    string
	Secret string // of webhook, several apart from each other by blanks, perhaps none; of feishu and dingtalk, perhaps empty
	Token  string // of a telegram bot; of a webhook, for bearer authentication
	Chat   string // of telegram

	// Of webhook, and but for the body and its values of alertmanager.
	Body               *Body             // instead of the generic form
	Values             map[string]string // that the body can show
	Headers            map[string]string // besides those of the form
	Username, Password string            // of basic authentication
	Alert              Alert             // of alertmanager

	Envelope Envelope // of email

	Texts    map[string]*Text       // of chats and e-mail, by rule; the built-in one for others
	Digests  map[string]*DigestText // of digests in chats, by rule; the built-in one for others
	Language string                 // of the built-in one, of [Languages]; "" means en
	Zone     *time.Location         // of its times; nil means UTC

	Cover bool  // where it can, the service shows the cover of a room
	Link  *Link // what a message of a room leads to; nil: nothing
}

// Request returns the request that tells n, tried at now, of all kinds but email.
func (t Target) Request(ctx context.Context, n Notification, now time.Time) (*http.Request, error) {
	to := t.URL
	if t.Kind == "telegram" {
		to = strings.TrimSuffix(t.URL, "/") + "/bot" + t.Token + "/sendMessage"
	}
	if t.Kind == "alertmanager" {
		to = strings.TrimSuffix(t.URL, "/") + "/api/v2/alerts"
	}
	if t.Kind == "dingtalk" && t.Secret != "" {
		var err error
		if to, err = t.signedURL(now); err != nil {
			return nil, fmt.Errorf("write notification %s: the target's URL cannot be used", n.ID)
		}
	}
	body, err := t.bytes(n, now)
	if err != nil {
		return nil, fmt.Errorf("write notification %s: %w", n.ID, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("write notification %s: the target's URL cannot be used", n.ID) // the error has the URL
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("User-Agent", "roomnotify")
	t.authorize(req)
	if t.Kind == "webhook" {
		return req, t.sign(req.Header, n.ID, now, body)
	}
	return req, nil
}

// authorize adds the headers that the rule file has.
func (t Target) authorize(req *http.Request) {
	if t.Token != "" && t.Kind != "telegram" {
		req.Header.Set("Authorization", "Bearer "+t.Token)
	}
	if t.Username != "" {
		req.SetBasicAuth(t.Username, t.Password)
	}
	for name, value := range t.Headers {
		req.Header.Set(name, value)
	}
}

// bytes returns the body of the request.
func (t Target) bytes(n Notification, now time.Time) ([]byte, error) {
	if t.Body != nil {
		body, err := t.Body.json(t.shownBody(n))
		if wrong, ok := errors.AsType[*TextError](err); ok {
			return nil, fmt.Errorf("body, in its line %d: %w", wrong.Line, err)
		}
		return body, err
	}
	content, err := t.body(n, now)
	if err != nil {
		return nil, err
	}
	return encode(content)
}

// sign adds the headers of Standard Webhooks, with a signature for each secret:
// while a secret is being replaced there are two. Without one there is the id, by
// which duplicates can be told.
func (t Target) sign(h http.Header, id string, now time.Time, body []byte) error {
	var signatures []string
	for _, secret := range strings.Fields(t.Secret) {
		w, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			return fmt.Errorf("sign notification %s: the secret is no base64", id)
		}
		s, err := w.Sign(id, now, body)
		if err != nil {
			return fmt.Errorf("sign notification %s: %w", id, err)
		}
		signatures = append(signatures, s)
	}
	h.Set(standardwebhooks.HeaderWebhookID, id)
	h.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	if len(signatures) > 0 {
		h.Set(standardwebhooks.HeaderWebhookSignature, strings.Join(signatures, " "))
	}
	return nil
}

// encode writes JSON without escapes for HTML: WeCom counts bytes.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

func (t Target) body(n Notification, now time.Time) (any, error) {
	switch t.Kind {
	case "webhook":
		return webhook(n), nil
	case "slack":
		return slack(t.message(n)), nil
	case "discord":
		return discord(t.message(n)), nil
	case "feishu":
		return t.feishu(t.message(n), now), nil
	case "wecom":
		return wecom(t.message(n)), nil
	case "telegram":
		return t.telegram(t.message(n)), nil
	case "dingtalk":
		return dingtalk(t.message(n)), nil
	case "alertmanager":
		return t.alerts(n), nil
	}
	return nil, fmt.Errorf("there is no form %q", t.Kind)
}

type object = map[string]any

// A payload is the generic form, as Standard Webhooks recommends it.
type payload struct {
	Type      string      `json:"type"`
	Timestamp time.Time   `json:"timestamp"`
	Data      payloadData `json:"data"`
}

type payloadData struct {
	Rule      string        `json:"rule"`
	Test      bool          `json:"test,omitzero"`
	Milestone int64         `json:"milestone,omitzero"`
	Event     *events.Event `json:"event,omitzero"`
	Watch     *Watch        `json:"watch,omitzero"`
	Since     time.Time     `json:"since,omitzero"`
	Until     time.Time     `json:"until,omitzero"`
	Items     []payloadItem `json:"items,omitzero"`
}

type payloadItem struct {
	ID        string        `json:"id"`
	Type      string        `json:"type"`
	Milestone int64         `json:"milestone,omitzero"`
	Event     *events.Event `json:"event,omitzero"`
	Watch     *Watch        `json:"watch,omitzero"`
}

func webhook(n Notification) payload {
	p := payload{Type: n.Type, Timestamp: n.Time().UTC(), Data: payloadData{Rule: n.Rule, Test: n.Test, Milestone: n.Milestone, Event: n.Event, Watch: n.Watch}}
	if d := n.Digest; d != nil {
		p.Data.Since, p.Data.Until = d.Since.UTC(), d.Until.UTC()
		for _, i := range d.Items {
			p.Data.Items = append(p.Data.Items, payloadItem{ID: i.ID, Type: i.Type, Milestone: i.Milestone, Event: i.Event, Watch: i.Watch})
		}
	}
	return p
}
