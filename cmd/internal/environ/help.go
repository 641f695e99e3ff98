package environ

import (
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"text/tabwriter"
	"time"
)

// A kind says in words what values a variable takes.
type kind struct {
	word     string // for a column of a table
	expected string // what to write, after a value that cannot be read
}

// Worded is what a type of its own implements to say the same of itself.
type Worded interface {
	Word() string
	Expected() string
}

func kindOf(t reflect.Type) kind {
	if w, ok := reflect.Zero(t).Interface().(Worded); ok {
		return kind{w.Word(), w.Expected()}
	}
	switch t {
	case reflect.TypeFor[time.Duration]():
		return kind{"duration", "write a duration with its unit, such as 10s, 5m or 24h"}
	case reflect.TypeFor[slog.Level]():
		return kind{"level", "write debug, info, warn or error"}
	case reflect.TypeFor[Secret]():
		return kind{word: "secret"} // any text can be read
	}
	switch t.Kind() {
	case reflect.String:
		return kind{word: "text"}
	case reflect.Slice:
		return kind{word: "list"}
	case reflect.Float64:
		return kind{"number", "write a number, such as 9.5"}
	case reflect.Bool:
		return kind{"true or false", "write true or false"}
	}
	return kind{"number", "write a whole number"}
}

// PrintHelp prints every variable of a configuration with the kind of its
// values, its default and its meaning.
func PrintHelp(w io.Writer, c any) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(t, "VARIABLE\tVALUE\tDEFAULT\tMEANING\n") // Flush has the errors
	printRows(t, reflect.TypeOf(c).Elem())
	return t.Flush()
}

func printRows(w io.Writer, t reflect.Type) {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			printRows(w, f.Type)
			continue
		}
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", f.Tag.Get("envconfig"), kindOf(f.Type).word, f.Tag.Get("default"), f.Tag.Get("desc"))
	}
}
