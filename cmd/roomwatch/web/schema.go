package web

import (
	"net/http"
	"strconv"

	"roomwatch/cmd/internal/serve"
	"roomwatch/publisher/schema"
)

// schema serves the schemas of the events, at the paths that their URIs have.
func (s *Server) schema(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	b, err := schema.Files.ReadFile(name)
	if err != nil {
		serve.Refuse(w, http.StatusNotFound, "there is no schema %.200q; /schema/asyncapi.json names all of them", name)
		return
	}
	kind := "application/schema+json"
	if name == "asyncapi.json" {
		kind = "application/vnd.aai.asyncapi+json;version=3.0.0"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b) // the client is gone if this fails
}
