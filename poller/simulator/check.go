package simulator

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/tencentyun/tls-sig-api-v2-golang/tencentyun"
)

// A code is an ErrorCode of the API.
type code int

const (
	ok code = 0

	badURL        code = 60002
	badJSON       code = 60003
	badAccount    code = 60004
	badSDKAppID   code = 60006
	badResource   code = 60009
	notAdmin      code = 60010
	tooFrequent   code = 60011
	noSDKAppID    code = 60012
	badURLValue   code = 60025
	sigExpired    code = 70001
	sigIllegal    code = 70003
	sigOtherKey   code = 70009
	sigOtherUser  code = 70013
	sigOtherApp   code = 70014
	internalError code = 100001
	badParameter  code = 100002
	noRoom        code = 100004
)

// info returns the ErrorInfo of a code.
func (c code) info() string {
	switch c {
	case ok:
		return ""
	case badURL:
		return "http parse error, please check the url format"
	case badJSON:
		return "request json parse error"
	case badAccount:
		return "account or signature in the url is incorrect"
	case badSDKAppID:
		return "sdkappid is invalid"
	case badResource:
		return "request resource error, please check the url"
	case notAdmin:
		return "app administrator privileges are required"
	case tooFrequent:
		return "sdkappid request frequency exceeds the limit"
	case noSDKAppID:
		return "sdkappid is missing in the url"
	case badURLValue:
		return "contenttype in the url is wrong"
	case sigExpired:
		return "usersig expired"
	case sigIllegal:
		return "usersig is illegal"
	case sigOtherKey:
		return "usersig verification failed, please check the key"
	case sigOtherUser:
		return "identifier does not match the one in usersig"
	case sigOtherApp:
		return "sdkappid does not match the one in usersig"
	case internalError:
		return "server internal error, please retry"
	case badParameter:
		return "parameter is illegal"
	case noRoom:
		return "room does not exist or was dissolved"
	default:
		return "error " + strconv.Itoa(int(c))
	}
}

// check looks at everything but the body. The quota belongs to the application
// and not to the account, so it comes before the signature.
func (s *Service) check(r *http.Request, inSecond, quota int) code {
	q := r.URL.Query()
	_, errRandom := strconv.ParseUint(q.Get("random"), 10, 32)
	switch {
	case r.URL.Path != listPath && r.URL.Path != infoPath:
		return badResource
	case r.Method != http.MethodPost || errRandom != nil:
		return badURL
	case q.Get("sdkappid") == "":
		return noSDKAppID
	case q.Get("sdkappid") != strconv.Itoa(s.c.SDKAppID):
		return badSDKAppID
	case quota > 0 && inSecond > quota:
		return tooFrequent
	case q.Get("contenttype") != "json":
		return badURLValue
	}
	return s.checkAccount(q)
}

func (s *Service) checkAccount(q url.Values) code {
	identifier, sig := q.Get("identifier"), q.Get("usersig")
	if identifier == "" || sig == "" {
		return badAccount
	}
	err := tencentyun.VerifyUserSig(uint64(s.c.SDKAppID), s.c.SecretKey, identifier, sig, time.Now())
	switch {
	case errors.Is(err, tencentyun.ErrExpired):
		return sigExpired
	case errors.Is(err, tencentyun.ErrIdentifierNotMatch):
		return sigOtherUser
	case errors.Is(err, tencentyun.ErrSdkAppIDNotMatch):
		return sigOtherApp
	case errors.Is(err, tencentyun.ErrSigNotMatch):
		return sigOtherKey
	case err != nil:
		return sigIllegal
	case identifier != s.c.Identifier:
		return notAdmin
	}
	return ok
}

// A query is the body of a request.
type query struct {
	next  string
	count int // 1 to 20
}

// parse reads the body. It takes the fields from a map because the API tells
// upper from lower case and a Go struct would not.
func parse(body []byte) (query, code) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return query{}, badJSON
	}
	var next *string
	var count *int
	if json.Unmarshal(fields["Next"], &next) != nil || json.Unmarshal(fields["Count"], &count) != nil {
		return query{}, badParameter
	}
	if next == nil || count == nil || *count < 1 || *count > 20 {
		return query{}, badParameter
	}
	return query{*next, *count}, ok
}
