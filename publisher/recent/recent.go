// Package recent remembers the newest of many.
package recent

// A Map holds the values of the keys that were put into it last, up to a number.
type Map[K comparable, V any] struct {
	size int
	of   map[K]V
	ring []K // the keys; the oldest is at next when it is full
	next int
}

// New returns an empty map of up to size keys.
func New[K comparable, V any](size int) *Map[K, V] {
	return &Map[K, V]{size: size, of: map[K]V{}}
}

// Get returns the value of a key, if it is remembered.
func (m *Map[K, V]) Get(k K) (v V, known bool) {
	v, known = m.of[k]
	return v, known
}

// Put remembers a value, and forgets the oldest key for a new one if there are
// too many. A key that is known keeps its age.
func (m *Map[K, V]) Put(k K, v V) {
	switch _, known := m.of[k]; {
	case known:
	case len(m.ring) < m.size:
		m.ring = append(m.ring, k)
	default:
		delete(m.of, m.ring[m.next])
		m.ring[m.next] = k
		m.next = (m.next + 1) % m.size
	}
	m.of[k] = v
}
