package simulator

import "time"

// givenNexts is when each Next was given last, where they do not live for ever.
type givenNexts struct {
	at    map[string]time.Time
	swept time.Time // when those that are too old were dropped last
}

// alive reports whether a Next was given less than life ago, or lives for ever.
func (g *givenNexts) alive(next string, life time.Duration, now time.Time) bool {
	at, ok := g.at[next]
	return life == 0 || next == "" || ok && now.Sub(at) < life
}

// give notes that a Next is given.
func (g *givenNexts) give(next string, life time.Duration, now time.Time) {
	if life == 0 || next == "" {
		return
	}
	if g.at == nil {
		g.at = make(map[string]time.Time)
	}
	g.at[next] = now
	if now.Sub(g.swept) < life {
		return
	}
	g.swept = now
	for old, at := range g.at {
		if now.Sub(at) >= life {
			delete(g.at, old)
		}
	}
}
