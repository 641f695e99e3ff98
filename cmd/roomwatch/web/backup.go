package web

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"roomwatch/cmd/internal/serve"
	"roomwatch/state"
)

// BackupPath answers with a copy of the state file.
const BackupPath = "/api/v1/backup"

// backupChunk is how many bytes a client has to take within the patience of the server.
const backupChunk = 1 << 20

// backup sends a copy of the state that is whole before the first byte leaves. One is made
// at a time: it takes as much of the disk as the state file.
func (s *Server) backup(w http.ResponseWriter, r *http.Request) {
	select {
	case s.copying <- struct{}{}:
		defer func() { <-s.copying }()
	default:
		serve.Refuse(w, http.StatusServiceUnavailable, "another backup is on its way: try again when it is done")
		return
	}
	b, err := s.c.Backup()
	if errors.Is(err, state.ErrRebuilding) {
		serve.Refuse(w, http.StatusServiceUnavailable, "%v", state.ErrRebuilding)
		return
	}
	if err != nil {
		s.log.ErrorContext(r.Context(), "backup failed", "error", err, "fix", "make room on the disk of ROOMWATCH_DATA_DIR, for a second file of that size")
		serve.Refuse(w, http.StatusInternalServerError, "the state cannot be copied; the log of roomwatch says why")
		return
	}
	defer func() {
		if err := b.Close(); err != nil {
			s.log.ErrorContext(r.Context(), "copy not removed", "error", err, "fix", "none is required: the next start removes it")
		}
	}()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Disposition", `attachment; filename="state.db"`)
	w.Header().Set("Content-Length", strconv.FormatInt(b.Size, 10))
	c := http.NewResponseController(w)
	for {
		// The deadline is that of this piece, not of the whole answer. A client that gets
		// less than was announced knows it.
		err := c.SetWriteDeadline(time.Now().Add(s.patience))
		if err == nil {
			_, err = io.CopyN(w, b, backupChunk)
		}
		if err != nil {
			return // all was sent, or the client is gone
		}
	}
}
