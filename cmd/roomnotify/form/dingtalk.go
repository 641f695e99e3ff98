package form

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"strconv"
	"time"
)

// dingtalk sends text, which unlike its markdown has no markup, and mentions nobody;
// with a cover what it calls a link, of whose text it shows the beginning.
func dingtalk(m message) object {
	title, text := m.fit(4000-len(m.linkLine()), bytesIn, narrow)
	if m.cover != "" && m.link != "" {
		return object{"msgtype": "link", "link": object{"title": title, "text": text, "messageUrl": m.link, "picUrl": m.cover}}
	}
	return object{"msgtype": "text", "text": object{"content": title + "\n" + text + m.linkLine()}, "at": object{"isAtAll": false}}
}

// signedURL adds DingTalk's signature to the URL: the secret is the key, and what
// is signed is the time in milliseconds and the secret.
func (t Target) signedURL(now time.Time) (string, error) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return "", err
	}
	stamp := strconv.FormatInt(now.UnixMilli(), 10)
	mac := hmac.New(sha256.New, []byte(t.Secret))
	mac.Write([]byte(stamp + "\n" + t.Secret))
	q := u.Query()
	q.Set("timestamp", stamp)
	q.Set("sign", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	u.RawQuery = q.Encode()
	return u.String(), nil
}
