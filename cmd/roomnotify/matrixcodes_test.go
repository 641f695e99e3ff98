package main

import (
	"fmt"
	"maps"
)

// withCodes adds a cell for each code whose text decides nothing. They stand here a second
// time, as the services document them, and not as form has them.
func withCodes(cells map[string][]cell) map[string][]cell {
	cells = maps.Clone(cells)
	add := func(kind, class, want string, status int, body string, codes ...any) {
		for _, code := range codes {
			cells[kind] = append(cells[kind], cell{class, fmt.Sprintf("code %v", code), status, "", fmt.Sprintf(body, code), want})
		}
	}
	// Feishu answers with 200 or with 400: half of them have each.
	const feishu = `{"code":%v,"msg":"a text","data":{}}`
	add("feishu", "busy", "busy", 200, feishu, 230020, 1061045)
	add("feishu", "busy", "busy", 400, feishu, 99991403)
	add("feishu", "5xx", "temporary", 400, feishu, 1500, 1642, 1663, 1668, 4006)
	add("feishu", "5xx", "temporary", 200, feishu, 5000, 10105, 10500, 19099)
	add("feishu", "refused", "refused", 200, feishu, 10030, 11213, 11223, 11231, 11240, 11242, 18054, 19003, 19025, 19026, 19027)
	add("feishu", "refused", "refused", 400, feishu, 230001, 230002, 230006, 230099)
	add("feishu", "refused", "refused", 500, feishu, 99991663, 99991664, 99991668) // the body decides
	add("wecom", "busy", "busy", 200, `{"errcode":%v,"errmsg":"a text"}`, 45011)
	add("wecom", "5xx", "temporary", 200, `{"errcode":%v,"errmsg":"a text"}`, 50001)
	// Limits of Discord come with 429 as a rule; the code says so where they do not.
	add("discord", "busy", "busy", 400, `{"message":"a text","code":%v}`, 20016, 20022, 20026, 20029, 20031, 31001, 31002)
	add("slack", "busy", "busy", 400, "%v", "ratelimited")
	add("slack", "5xx", "temporary", 400, "%v", "internal_error", "fatal_error", "request_timeout", "team_added_to_org")
	add("slack", "refused", "refused", 500, "%v", "invalid_blocks", "invalid_blocks_format", "missing_text_or_fallback_or_attachments", "no_service_id")
	return cells
}
