package streams

import "fmt"

// VersionKey is what a server of 2.11 or newer tells of itself with each stream,
// also where the connection is to another server, such as a leaf node.
const VersionKey = "_nats.ver"

// IsBefore reports whether a version of nats-server is older than major.minor.
// What is no version is not.
func IsBefore(version string, major, minor int) bool {
	var have [2]int
	if _, err := fmt.Sscanf(version, "%d.%d", &have[0], &have[1]); err != nil {
		return false
	}
	return have[0] < major || have[0] == major && have[1] < minor
}

// HasBatches reports whether a version of nats-server stores several messages at
// once or none of them.
func HasBatches(version string) bool { return !IsBefore(version, 2, 12) }

// before reports whether the server that has the stream is known to be older.
func (s *stream) before(major, minor int) bool {
	return IsBefore(s.have.Metadata[VersionKey], major, minor)
}
