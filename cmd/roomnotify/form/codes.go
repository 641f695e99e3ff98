package form

import (
	"slices"
	"strings"
)

// What the services document of their errors. A code that is in none of these
// lists, in an answer of status 200, is retried: a notification must not die
// of a code that we do not know.
var (
	// Feishu and Lark: "Custom bot usage guide" and "Server-side error codes". 9499 and
	// 11246 mean two things each, see [feishuMeans].
	feishuBusy = []int{
		11232, 11233, 11247, // frequency limited: 100 a minute and 5 a second; in all
		230020,             // the limit of one chat
		99991400, 99991403, // the gateway's limit, the month's quota
		1061045, // can retry
	}
	feishuFailing = []int{1500, 1642, 1663, 1668, 2200, 4006, 5000, 10101, 10105, 10500, 18121, 19099}
	feishuRefused = []int{
		10002, 10030, 11205, 11213, 11223, 11231, 11240, 11242, 11249, // the bot, or its chat
		11248, 11312, 18054, // what the message says
		19001, 19002, 19003, // the URL or the parameters
		19021, 19022, 19024, // signature, address, key word
		19025, 19026, 19027,
		19036, // too large
		230001, 230002, 230006, 230099,
		99991663, 99991664, 99991668,
	}

	// WeCom: "Global error codes". All others of five and more digits are of what was sent.
	wecomBusy    = []int{45009, 45011, 45033} // frequency, the same by the second, concurrency
	wecomFailing = []int{-1, 6000, 50001}

	// DingTalk: "Custom robots send group messages". All others of five and more
	// digits are of what was sent: a key word, the signature, the robot.
	dingtalkBusy    = []int{90002, 90018, 90020, 90030, 130101, 410100} // calls a second, a minute, a day and a month
	dingtalkFailing = []int{-1, 500100}                                 // busy, and "system exception, try again later"

	// Discord: "JSON error codes".
	discordBusy = []int{20016, 20022, 20026, 20028, 20029, 20031, 31001, 31002, 40062, 130000}

	// Slack answers to incoming webhooks with one word.
	slackErrors = map[string]meaning{
		"rate_limited": busy, "ratelimited": busy, "message_limit_exceeded": busy,
		"rollup_error": failing, "internal_error": failing, "fatal_error": failing, "service_unavailable": failing,
		"request_timeout": failing, "team_added_to_org": failing,
		"invalid_payload": refused, "invalid_blocks": refused, "no_text": refused, "user_not_found": refused,
		"channel_not_found": refused, "channel_is_archived": refused, "action_prohibited": refused, "no_service": refused, "no_service_id": refused, "no_active_hooks": refused,
		"no_team": refused, "team_disabled": refused, "invalid_token": refused, "posting_to_general_channel_denied": refused, "too_many_attachments": refused,
		"invalid_blocks_format": refused, "missing_text_or_fallback_or_attachments": refused,
	}
)

// codeMeans says what a code of a service means; success: the status was 2xx.
func codeMeans(kind string, code int, body reply, success bool) meaning {
	is := func(list []int) bool { return slices.Contains(list, code) }
	switch kind {
	case "feishu":
		if m := feishuMeans(code, strings.ToLower(body.Msg)); m != unknown {
			return m
		}
	case "wecom":
		switch {
		case code == 0:
			return taken
		case is(wecomBusy):
			return busy
		case is(wecomFailing):
			return failing
		case code >= 40000:
			return refused
		}
	case "dingtalk":
		switch {
		case code == 0:
			return taken
		case is(dingtalkBusy):
			return busy
		case is(dingtalkFailing):
			return failing
		case code >= 40000:
			return refused
		}
	case "discord":
		if is(discordBusy) {
			return busy
		}
		return unknown
	case "telegram":
		switch {
		case code == 429 || code == 420:
			return busy
		case code >= 400 && code < 500:
			return refused
		case code >= 500:
			return failing
		}
	}
	if success {
		return failing
	}
	return unknown
}

func feishuMeans(code int, said string) meaning {
	switch {
	case code == 0:
		return taken
	case code == 9499 && !strings.Contains(said, "bad request") && !strings.Contains(said, "invalid param"):
		return busy // too many requests, with status 400
	case code == 11246 && strings.Contains(said, "service internal error"):
		return failing
	case code == 9499, code == 11246, slices.Contains(feishuRefused, code):
		return refused
	case slices.Contains(feishuBusy, code):
		return busy
	case slices.Contains(feishuFailing, code):
		return failing
	}
	return unknown
}
