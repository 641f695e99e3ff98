package poller

// Codes that need more than their class.
const (
	codeBadParameter = 100002 // with a Next that is not empty: the cursor is stale
	codeNoRoom       = 100004 // of get_room_info: the answer that the room is gone
	codeVerifyRate   = 70050  // a new signature, but not before a minute has passed
)

// A rule is what is known of the error codes from first to last.
type rule struct {
	first, last int
	class       Class
	then        Class  // where class is Resign: the class once a new signature is refused too
	advice      string // the vendor's documentation in short
}

// rules is what the vendor's tables say: 1047/34348 and 679/131708 for the
// common codes, 647/60027 for those of Live. Codes that only other calls return
// stand here too, so that an operator who meets one reads what it means.
var rules = [...]rule{
	{10002, 10002, Retry, 0, "internal error of the group service, please retry"},
	{10006, 10006, Throttle, 0, "operation frequency limit of the group service, reduce the frequency"},
	{20002, 20002, Resign, Retry, "not in the vendor's tables; known as a refused signature"},
	{20004, 20005, Retry, 0, "not in the vendor's tables; known to pass"},

	{60002, 60002, Bug, 0, "HTTP parsing error, check the format of the request URL"},
	{60003, 60003, Bug, 0, "JSON parsing error of the request, check that its body is valid JSON"},
	{60004, 60005, Resign, Retry, "account or signature check failed, check them or retry later"},
	{60006, 60006, Fatal, 0, "invalid SDKAppID, check the SDKAppID"},
	{60007, 60007, Throttle, 0, "REST API call frequency exceeds the limit, reduce it or have the limit raised in the console"},
	{60008, 60008, Retry, 0, "service request timed out or the format of the HTTP request is wrong, check and retry"},
	{60009, 60009, Bug, 0, "request resource error, check the request URL"},
	{60010, 60010, Fatal, 0, "App administrator privileges are needed, check that the identifier is an App administrator"},
	{60011, 60011, Throttle, 0, "request frequency of the SDKAppID exceeds the limit, reduce it; all callers of the SDKAppID share it"},
	{60012, 60012, Bug, 0, "the SDKAppID is missing in the request URL"},
	{60013, 60013, Retry, 0, "JSON parsing error of the service's own response, contact the vendor's support if it lasts"},
	{60014, 60014, Retry, 0, "account check timed out, please retry"},
	{60015, 60015, Bug, 0, "wrong type of the account, it must be a string"},
	{60016, 60016, Fatal, 0, "the SDKAppID is disabled, contact the vendor's support"},
	{60017, 60017, Fatal, 0, "the request is disabled, contact the vendor's support"},
	{60018, 60019, Throttle, 0, "requests are too frequent, check the frequency and try again later"},
	{60020, 60020, Fatal, 0, "plan not bought, expired, or in arrears: buy or renew it in the console; takes effect 5 minutes later"},
	{60021, 60021, Fatal, 0, "illegal source IP of the REST API call, contact the vendor's support"},
	{60025, 60025, Fatal, 0, "SDKAppID, Identifier, UserSig or ContentType in the request URL is wrong, check them"},
	{60026, 60026, Fatal, 0, "the domain name does not match the SDKAppID's region, use the endpoint of the region where the application was made"},
	{60027, 60027, Fatal, 0, "product type mismatch, check that the SDKAppID belongs to Live"},
	{60028, 60028, Fatal, 0, "request volume exceeds the Trial Edition's limit within 24 hours, upgrade the plan or wait"},

	{70001, 70001, Resign, Fatal, "UserSig expired, generate a new one valid for at least 24 hours; check this machine's clock"},
	{70002, 70002, Resign, Fatal, "not in the vendor's tables; next to codes of a refused UserSig, generate a new one"},
	{70003, 70003, Resign, Fatal, "illegal UserSig, it cannot be parsed: check that it is whole and made with this application's key"},
	{70005, 70005, Resign, Fatal, "not in the vendor's tables; next to codes of a refused UserSig, generate a new one"},
	{70009, 70009, Fatal, 0, "UserSig verification failed: made with the key of another SDKAppID, check the key"},
	{70013, 70013, Fatal, 0, "the identifier differs from the one in the UserSig, check both"},
	{70014, 70014, Fatal, 0, "the SDKAppID differs from the one in the UserSig, check both"},
	{70016, 70016, Fatal, 0, "the key does not exist, check that the SDKAppID belongs to the data centre of the endpoint"},
	{70020, 70020, Fatal, 0, "the SDKAppID does not exist, check that it belongs to the data centre of the endpoint"},
	{codeVerifyRate, codeVerifyRate, Fatal, 0, "UserSig verification failed and too frequent, check the UserSig and verify again after 1 minute"},
	{70051, 70051, Fatal, 0, "the account is on the blocklist, contact the vendor's support"},
	{70052, 70052, Resign, Fatal, "UserSig expired or invalidated, generate a new one"},
	{70107, 70107, Fatal, 0, "the account of the identifier is not imported, import it or check the identifier"},
	{70114, 70114, Throttle, 0, "login of the account is restricted, reduce the frequency"},
	{70169, 70169, Retry, 0, "server-side timeout, try again later"},
	{70202, 70202, Retry, 0, "server-side timeout, try again later"},
	{70206, 70206, Bug, 0, "invalid size of a batch"},
	{70398, 70399, Fatal, 0, "account quota of the application is used up, delete accounts or upgrade the plan"},
	{70402, 70402, Bug, 0, "illegal request parameters, check them"},
	{70403, 70403, Fatal, 0, "App administrator permission is needed, check that the identifier is an App administrator"},
	{70404, 70404, Retry, 0, "version of a client SDK too low; not a code of this call"},
	{70500, 70500, Retry, 0, "internal server error, try again later"},
	{71000, 71000, Fatal, 0, "deleting accounts is not possible for the plan; not a code of this call"},
	{72000, 72999, Fatal, 0, "a limit of the plan is reached or a feature is off, check the plan in the console"},

	{80001, 80004, Retry, 0, "content or callback of a message; not a code of this call"},
	{80005, 80005, Fatal, 0, "service deactivated: expired or in arrears, renew it in the console"},
	{90992, 90992, Retry, 0, "callback error of the message service, please retry"},
	{90994, 90995, Retry, 0, "internal error of the message service, please retry"},
	{91000, 91000, Retry, 0, "internal error of the message service, please retry"},

	{100001, 100001, Retry, 0, "internal server error, please retry"},
	{codeBadParameter, codeBadParameter, Bug, 0, "invalid parameter, check the request against the error description"},
	{100003, 100003, Retry, 0, "the room ID exists already; not a code of this call"},
	{codeNoRoom, codeNoRoom, Retry, 0, "the room does not exist or was dissolved; a code of get_room_info only"},
	{100005, 100005, Retry, 0, "not a member of the room; not a code of this call"},
	{100006, 100006, Fatal, 0, "insufficient permission for the operation, check that the identifier is an App administrator"},
	{100007, 100007, Fatal, 0, "no payment information, buy a package in the console"},
	{100008, 100009, Retry, 0, "room full or too many tags; not a code of this call"},
	{100010, 100011, Retry, 0, "the room ID is in use; not a code of this call"},
	{100012, 100012, Throttle, 0, "rooms are created too frequently, reduce the frequency"},
	{100013, 100020, Retry, 0, "limits and rights in a room; not a code of this call"},
	{100102, 100102, Retry, 0, "signalling; not a code of this call"},
	{100200, 100251, Retry, 0, "seats; not a code of this call"},
	{100400, 100421, Retry, 0, "connection and battle; not a code of this call"},
	{100500, 100504, Retry, 0, "metadata; not a code of this call"},
}

// ruleOf returns the rule for a code. An unknown code is retried: a service
// that invents a code must not stop the watch.
func ruleOf(code int) rule {
	for _, r := range rules {
		if r.first <= code && code <= r.last {
			return r
		}
	}
	return rule{first: code, last: code, class: Retry, advice: "not in the vendor's tables, retried"}
}
