package rules

// Help says how a rule file is written.
const Help = `The rule file says what is told to whom. It is YAML, and strict: a word that is
not below is an error.

targets:
  team:                          # a name: letters, digits and -
    kind: slack                  # webhook, slack, discord, feishu (or lark), wecom, telegram, dingtalk,
                                 # email, alertmanager
    url: ${SLACK_URL}            # what is secret is named, never written: ${NAME} of the
                                 # environment, or url_file: /path, secret_file, token_file
    limit: 30                    # notifications a minute; without it what the service
                                 # allows; 0 for any number, also in one second
    timeout: 10s                 # of one request; without it 10s, of an e-mail 20s
    tries: 6                     # before the target is marked down
    language: en                 # or zh: of the built-in text of a chat
    zone: Asia/Shanghai          # of all times in texts, templates and bodies; without it UTC
    text: "{{.Room.Name}}: {{.Room.Views | count}} views" # of a message in a chat; see below
    digest: "{{.Total}} in the last hours" # of a digest in a chat; see below
    cover: true                  # the service shows the cover of a room: slack, discord,
                                 # and with a link wecom and dingtalk
    link: https://example.com/rooms/{{.Room.ID}} # what a message of a room leads to; see below
    allow_private: false         # true: it may be at a link-local address or one of cloud metadata
  hook:
    kind: webhook                # signed JSON, as standardwebhooks.com has it
    url: https://hooks.example.com/rooms
    secret: ${HOOK_SECRET}       # whsec_ and base64; two, separated by a space, while one replaces the other
  pager:
    kind: webhook                # with a body of its own, for other services
    url: https://events.example.com/v2/enqueue
    values: {routing_key: "${PAGER_KEY}"}      # what the body shows as .Values; values_file:
    values_file: {team: /run/secrets/team}     # {name: /path} for what stands in files
    headers: {Authorization: "Token ${TOKEN}"} # besides roomnotify's own; headers_file likewise
    headers_file: {X-Api-Key: /run/secrets/api-key}
    ca_file: /run/secrets/ca.pem # of any target: certificates that are trusted instead of
                                 # the system's, in PEM
    proxy: http://proxy.example.com:3128 # of any target, also https and socks5; none: not even
                                 # that of the environment; with a password ${NAME} or proxy_file
    body: |                      # JSON; see below
      {"key": {{.Values.routing_key}}, "summary": "{{.Title}} in {{.Values.team}}", "room": {{.Room.ID}}}
  intranet:
    kind: webhook                # with a password: username, and password or password_file; or
    url: https://hooks.example.com/other # with token or token_file, for bearer authentication
    username: roomnotify
    password: ${HOOK_PASSWORD}
    secret: ${HOOK_SECRET}
  alerts:
    kind: alertmanager           # each room an alert; may have headers, token and username, too
    url: https://alertmanager.example.com
    labels: {severity: info}     # besides app, room and rule; alertname is RoomLive without one
    generator_url: https://rooms.example.com
    ends_after: 168h             # resolved so long after the newest event of a room, if no end is told
  mailbox:
    kind: email
    url: smtp://mail.example.org # changes to TLS with STARTTLS, at port 587; smtps:// has TLS
                                 # from the beginning, at port 465
    starttls: required           # or none: no TLS at all, and no password, at port 25; for a relay
                                 # on this machine
    username: rooms@example.org  # if the server wants a login: PLAIN or LOGIN
    password: ${MAIL_PASSWORD}   # or password_file
    from: Rooms <rooms@example.org>
    to: [ops@example.org, "On call <call@example.org>"] # one e-mail to all of them
  lark:
    kind: feishu
    url_file: /run/secrets/lark-url
    secret: ${LARK_SECRET}       # only if the bot asks for signatures
  group:
    kind: dingtalk
    url: ${DINGTALK_URL}
    secret: ${DINGTALK_SECRET}   # SEC…, only if the robot asks for signatures
  channel:
    kind: telegram
    token: ${TELEGRAM_TOKEN}
    chat: "-1001234567890"       # or @channel

rules:
  new-rooms:
    events: [room.created, room.ended, room.updated]
    milestones: [1000, 10000]    # view counts, told once for each life of a room
    watch: true                  # when nobody watches an application, and when somebody does again
    targets: [team, hook, alerts]
    text: |                      # in chats, instead of that of the target
      {{if .Milestone}}{{count .Milestone}} views: {{end}}{{.Room.Name}}
      Since {{(in "Asia/Shanghai" .Room.Created).Format "15:04"}}
    digest: |                    # in chats, instead of that of the target
      {{.Total}} things, {{index .Counts "room.created"}} new rooms
      {{range .Titles}}- {{.}}
      {{end}}
    labels: {severity: page}     # of its alerts, instead of those of an alertmanager target or besides them
    # Which rooms; without a line, all:
    apps: [1400000000]           # SDKAppIDs
    categories: [1, 2]           # any of them
    owners: ["bren*"]            # * is anything, ? one character, the case does not matter;
    names: ["/^(live|show) /"]   # or a regular expression between slashes
    min_views: 100               # when the event comes; most new rooms have none yet
    # When:
    limit: 10                    # notifications a minute to each target
    quiet: {from: "22:00", to: "08:00", zone: Asia/Shanghai}
    baseline: true               # also rooms that were live before roomwatch first looked
    late: true                   # also events that are older than
    late_after: 10m              # this
    gap: false                   # not what may have happened while nobody watched

Each rule stands for itself: an event that two rules match is told twice.

A rule with watch tells when roomwatch has given no sign of life of an application for
three minutes, or could not read the list for as long, and when that is over. Of the
lines about rooms it heeds apps alone, and its text is the built-in one.

What a limit or quiet hours hold back is kept on the stream and told later, as one
digest; a single one is told as it is. While a target is down, what is for it is
kept, and told when it is up again. What it refuses is kept until
` + "`roomnotify resend`" + `.

A text is a Go template (pkg.go.dev/text/template). Its first line is the title,
and stands for the notification in a digest. It shows .Type, .Rule, .Milestone,
.Time, .Lasted (of an ended room), .Changes, and of .Room: .ID, .Name, .Owner,
.Views, .Categories and .Created. Besides the usual functions there are count
(1,000), categories (1, 2) and in, which takes a time zone and a time; without it a time
is in the zone of the target. roomnotify
escapes all of it as the service needs it: a text has no markup and no links.

The text of a digest shows .Rule, .Since, .Until, .Total, .Counts (by type, such as
room.created and room.milestone), .Titles of the first ten, and .More. roomnotify adds
where the others are.

A link is a Go template of a URL. It shows .Type, .Rule, .App, and of .Room: .ID, .Name,
.Owner and .Created (Unix seconds), as the event has them; roomnotify escapes each for
a URL. A digest and news of the watch have no link and no cover.

A body is a Go template, too, and what it makes is JSON. roomnotify writes values as
JSON: {{.Room.Name}} becomes a text with its quotes, or, between quotes that the body
has, a part of that text. It shows all that a text does, and .Title, .Text and
.Lines (what a chat would get), .ID, .Key (the same for all of one life of a room), .App, .Target,
.Test, .Event (all of it), .Watch, .Cover, .Link, and .Values of the target. With .Type digest it shows
.Since, .Until, .Total and .Items, each with the fields of a notification. markdown
escapes a text for services that read Markdown. Without secret nothing is signed.

A room crosses a milestone when its count was below it in the event before. One
that is announced with a count has crossed all up to it.
`
