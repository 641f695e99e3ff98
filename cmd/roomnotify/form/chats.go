package form

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// slack sends blocks of plain text, in which nothing is markup. The text beside
// them is for where blocks are not shown; there & < > are escaped, so that it has
// no <!channel>, and no link.
func slack(m message) object {
	same := func(s string) string { return s }
	title, text := m.fit(2900, utf16In, same)
	escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	blocks := []object{{
		"type": "section",
		"text": object{"type": "plain_text", "emoji": false, "text": title + "\n" + text},
	}}
	if m.cover != "" {
		blocks = append(blocks, object{"type": "image", "image_url": m.cover, "alt_text": title})
	}
	if m.link != "" { // no button: Slack wants an answer from who has sent one
		link := "<" + escape.Replace(m.link) + "|" + m.words.open + ">"
		blocks = append(blocks, object{"type": "section", "text": object{"type": "mrkdwn", "verbatim": true, "text": link}})
	}
	return object{"text": escape.Replace(title), "blocks": blocks, "unfurl_links": false, "unfurl_media": false}
}

// discordSuppressEmbeds keeps links in the text from being shown as pictures.
const discordSuppressEmbeds = 1 << 2

// discord escapes all of Markdown, and allows no mentions.
func discord(m message) object {
	title, text := m.fit(2000, utf16In, escapeMarkdown)
	o := object{"content": title + "\n" + text, "allowed_mentions": object{"parse": []string{}}}
	embed := object{}
	if m.link != "" {
		embed["title"], embed["url"] = m.words.open, m.link
	}
	if m.cover != "" {
		embed["image"] = object{"url": m.cover}
	}
	if len(embed) == 0 {
		o["flags"] = discordSuppressEmbeds // it would hide this one, too
		return o
	}
	o["embeds"] = []object{embed}
	return o
}

func escapeMarkdown(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strings.ContainsRune("\\*_~`|<>[]()#:@-+", r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// narrow replaces < by a letter that looks like it: Feishu and WeCom read tags
// such as <at user_id="all"> and <@all>, and know no escape.
func narrow(s string) string { return strings.ReplaceAll(s, "<", "＜") }

// feishu sends a post, whose text elements have no markup.
func (t Target) feishu(m message, now time.Time) object {
	title, text := m.fit(8000, bytesIn, narrow)
	var paragraphs [][]object
	for line := range strings.SplitSeq(text, "\n") {
		paragraphs = append(paragraphs, []object{{"tag": "text", "text": line}})
	}
	if m.link != "" {
		paragraphs = append(paragraphs, []object{{"tag": "a", "text": m.words.open, "href": m.link}})
	}
	locale := "en_us"
	if t.Language == "zh" {
		locale = "zh_cn"
	}
	o := object{"msg_type": "post", "content": object{"post": object{locale: object{"title": title, "content": paragraphs}}}}
	if t.Secret != "" {
		stamp := strconv.FormatInt(now.Unix(), 10)
		// As the documentation has it: the text is the key, and what is signed is empty.
		mac := hmac.New(sha256.New, []byte(stamp+"\n"+t.Secret))
		o["timestamp"], o["sign"] = stamp, base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	return o
}

// wecom sends text, which unlike its markdown has no markup; with a cover news, which
// need a link, and are short: WeCom cuts what is longer.
func wecom(m message) object {
	if m.cover != "" && m.link != "" {
		title := cutBytes(narrow(unlink(m.title)), 128)
		_, text := m.fit(512+len(narrow(unlink(m.title)))+1, bytesIn, narrow)
		return object{"msgtype": "news", "news": object{"articles": []object{{"title": title, "description": text, "url": m.link, "picurl": m.cover}}}}
	}
	title, text := m.fit(2048-len(m.linkLine()), bytesIn, narrow)
	return object{"msgtype": "text", "text": object{"content": title + "\n" + text + m.linkLine()}}
}

// telegram sends text without a parse mode, and asks for no preview: that would be one
// of any page, with its texts and a link, and a cover's URL is a stranger's.
func (t Target) telegram(m message) object {
	limit := 4096
	if m.link != "" {
		limit -= utf16In(m.words.open) + 1
	}
	title, text := m.fit(limit, utf16In, func(s string) string { return s })
	text = title + "\n" + text
	o := object{"chat_id": t.Chat, "link_preview_options": object{"is_disabled": true}}
	if m.link != "" {
		text += "\n"
		o["entities"] = []object{{"type": "text_link", "offset": utf16In(text), "length": utf16In(m.words.open), "url": m.link}}
		text += m.words.open
	}
	o["text"] = text
	return o
}
