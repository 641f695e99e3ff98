module example.com/greeter

go 1.26.0

require (
	github.com/nats-io/nats.go v1.55.0
	roomwatch v0.0.0
)

require (
	github.com/cenkalti/backoff/v4 v4.3.0 // indirect
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/nats-io/nkeys v0.4.17 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	github.com/oklog/ulid/v2 v2.1.2 // indirect
	golang.org/x/crypto v0.58.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

// The packages of roomwatch are those of the clone that this example lies in. In a
// module of yours, write where your clone is.
replace roomwatch => ../../..
