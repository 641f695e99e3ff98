package form_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"roomwatch/cmd/roomnotify/form"
)

// What each answer means: taken, refused for ever, or to be tried again after a time.
func TestJudge(t *testing.T) {
	date := now.Add(90 * time.Second).Format(http.TimeFormat)
	tests := []struct {
		name, kind string
		status     int
		after      string // Retry-After
		body       string
		want       string // taken, refused, again or again 7s
	}{
		{"taken", "webhook", 200, "", "", "taken"},
		{"taken without content", "discord", 204, "", "", "taken"},
		{"a body means nothing to a webhook", "webhook", 202, "", `{"ok":false,"code":1}`, "taken"},
		{"redirect", "webhook", 302, "", "", "refused"},
		{"not modified", "webhook", 304, "", "", "refused"},
		{"bad request", "slack", 400, "", "invalid_payload", "refused"},
		{"gone", "webhook", 410, "", "", "refused"},
		{"time-out of theirs", "webhook", 408, "", "", "again"},
		{"too early", "webhook", 425, "", "", "again"},
		{"too many", "webhook", 429, "", "", "again"},
		{"too many, in seconds", "slack", 429, "7", "", "again 7s"},
		{"too many, until a date", "slack", 429, date, "", "again 1m30s"},
		{"too many, until yesterday", "slack", 429, now.Add(-time.Hour).Format(http.TimeFormat), "", "again"},
		{"too many, nonsense", "slack", 429, "soon", "", "again"},
		{"too many, below zero", "slack", 429, "-5", "", "again"},
		{"discord says it in the body", "discord", 429, "", `{"message":"x","retry_after":1.5,"global":false}`, "again 1.5s"},
		{"the longer one counts", "discord", 429, "3", `{"retry_after":1.5}`, "again 3s"},
		{"telegram says it in the body", "telegram", 429, "", `{"ok":false,"error_code":429,"parameters":{"retry_after":35}}`, "again 35s"},
		{"server error", "webhook", 500, "", "", "again"},
		{"unavailable", "webhook", 503, "60", "", "again 1m0s"},
		{"feishu", "feishu", 200, "", `{"code":0,"msg":"success","data":{}}`, "taken"},
		{"feishu of old", "feishu", 200, "", `{"StatusCode":0,"StatusMessage":"success"}`, "taken"},
		{"feishu, signature", "feishu", 200, "", `{"code":19021,"msg":"sign match fail"}`, "refused"},
		{"feishu, too many", "feishu", 200, "", `{"code":11232,"msg":"frequency limited"}`, "again 1m0s"},
		{"feishu, a page of a proxy", "feishu", 200, "", `<html>`, "again"},
		{"feishu, no code", "feishu", 200, "", `{}`, "again"},
		{"wecom", "wecom", 200, "", `{"errcode":0,"errmsg":"ok"}`, "taken"},
		{"wecom, no such robot", "wecom", 200, "", `{"errcode":93000,"errmsg":"invalid webhook url"}`, "refused"},
		{"wecom, too many", "wecom", 200, "", `{"errcode":45009,"errmsg":"api freq out of limit"}`, "again 1m0s"},
		{"wecom, busy", "wecom", 200, "", `{"errcode":-1,"errmsg":"system error"}`, "again"},
		{"telegram", "telegram", 200, "", `{"ok":true,"result":{}}`, "taken"},
		{"telegram, refused with 200", "telegram", 200, "", `{"ok":false,"error_code":400,"description":"chat not found"}`, "refused"},
		{"telegram, refused", "telegram", 403, "", `{"ok":false,"error_code":403,"description":"bot was kicked"}`, "refused"},
		{"telegram, later, with 200", "telegram", 200, "", `{"ok":false,"error_code":429,"parameters":{"retry_after":2}}`, "again 2s"},
		{"telegram, server", "telegram", 502, "", `{"ok":false,"error_code":502}`, "again"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := http.Header{}
			if tt.after != "" {
				h.Set("Retry-After", tt.after)
			}
			err := form.Target{Kind: tt.kind}.Judge(form.Answer{Status: tt.status, Header: h, Body: []byte(tt.body)}, now)
			got := "taken"
			var no *form.Refusal
			switch {
			case errors.As(err, &no) && no.Permanent:
				got = "refused"
			case errors.As(err, &no) && no.After > 0:
				got = "again " + no.After.String()
			case err != nil:
				got = "again"
			}
			if got != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
		})
	}
}

// Feishu's signature is the one of its documentation: the time and the secret
// are the key, and what is signed is empty.
func TestFeishuSignature(t *testing.T) {
	// printf '' | openssl dgst -sha256 -hmac $'1795420800\nhush' -binary | base64
	const want = "k1A/kfYoCS2RNIeeuHwm7huw4zJ1PNbn8Ihcjk0vcNY="
	_, raw := body(t, targets()[3], notifications()["created"])
	if got := field(t, raw, "sign"); got != want {
		t.Errorf("sign %q, want %q", got, want)
	}
	if got := field(t, raw, "timestamp"); got != "1795420800" {
		t.Errorf("timestamp %q", got)
	}
}

func field(t *testing.T, raw []byte, name string) any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatal(err)
	}
	return v[name]
}
