package web

import (
	"embed"
	"mime"
	"net/http"
	"path"
	"strconv"

	"roomwatch/cmd/internal/serve"
)

//go:embed page
var pageFiles embed.FS

// page serves the files of the status page.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if r.URL.Path == "/" {
		name = "index.html"
	}
	b, err := pageFiles.ReadFile("page/" + name)
	if err != nil {
		serve.Refuse(w, http.StatusNotFound, "the page has no file %.200q; it begins at /", name)
		return
	}
	w.Header().Set("Content-Type", contentType(name))
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	_, _ = w.Write(b) // the client is gone if this fails
}

// contentType does not ask the machine for what the page is made of: a wrong
// table of types there would keep the browser from running the page.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	case ".txt", ".md", "":
		return "text/plain; charset=utf-8"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}
