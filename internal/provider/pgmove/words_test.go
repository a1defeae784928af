package pgmove

import (
	"strings"
	"testing"
)

// P10: of what a program says that failed, what failed and why is told, and no value of a row.
func TestP10NoValueIsTold(t *testing.T) {
	const from = "pg_restore: from TOC entry 3334; 0 16412 TABLE DATA mails shop\n"
	for said, want := range map[string]string{
		"pg_restore: while PROCESSING TOC:\n" + from + "pg_restore: error: COPY failed for table \"mails\": ERROR:  relation \"a\" does not exist\nLINE 1: SELECT 1 FROM a\nCONTEXT:  COPY mails, line 1: \"customer\"\npg_restore: warning: customer\n": "pg_restore: while PROCESSING TOC:\n" + from + "pg_restore: error: COPY failed for table \"mails\": ERROR:  relation \"a\" does not exist\n",
		"pg_restore: error: COPY failed for table \"n\": ERROR:  invalid input syntax for type integer: \"customer\"\nDETAIL:  customer\n":                                                                                                               "pg_restore: error: COPY failed for table \"n\": ERROR:  invalid input syntax for type integer: …\n",
		"pg_restore: error: COPY failed for table \"n\": ERROR:  invalid input value for enum size: \"x\" of relation \"customer\"\n":                                                                                                                    "pg_restore: error: COPY failed for table \"n\": ERROR:  invalid input value for enum size: …\n",
		"pg_restore: error: could not execute query: ERROR:  value \"customer\" is out of range for type integer\nCommand was: customer\n":                                                                                                               "pg_restore: error: could not execute query: ERROR:  value … is out of range for type integer\n",
		"pg_restore: error: could not execute query: ERROR:  new row for relation \"mails\" violates check constraint \"mails_m_check\"\nDETAIL:  Failing row contains (customer).\n":                                                                    "pg_restore: error: could not execute query: ERROR:  new row for relation \"mails\" violates check constraint \"mails_m_check\"\n",
		"pg_restore: error: could not execute query: ERROR:  no mail to 'customer'\n":                                                                                                                                                                    "pg_restore: error: could not execute query: ERROR:  no mail to …\n",
		"pg_restore: error: could not execute query: ERROR:  null value in column \"m\" of relation \"mails\" violates not-null constraint\n":                                                                                                            "pg_restore: error: could not execute query: ERROR:  null value in column \"m\" of relation \"mails\" violates not-null constraint\n",
		"pg_restore: error: could not execute query: ERROR:  near \"customer":                                                                                                                                                                            "pg_restore: error: could not execute query: ERROR:  near …",
		"pg_restore: error: connection to server at \"10.0.0.5\", port 5432 failed: FATAL:  role \"shop\" does not exist\n":                                                                                                                              "pg_restore: error: connection to server at \"10.0.0.5\", port 5432 failed: FATAL:  role \"shop\" does not exist\n",
		"pg_restore: error: Dumping the contents of table \"n\" failed: PQgetResult() failed.\npg_restore: detail: Error message from server: ERROR:  permission denied for table n\npg_restore: detail: Command was: customer\n":                        "pg_restore: error: Dumping the contents of table \"n\" failed: PQgetResult() failed.\npg_restore: detail: Error message from server: ERROR:  permission denied for table n\n",
		"pg_restore: error: COPY failed for table \"n\": FEHLER:  ungültige Eingabesyntax für Typ integer: »customer«\n":                                                                                                                                 "pg_restore: error: COPY failed for table \"n\": FEHLER:  ungültige Eingabesyntax für Typ integer: …\n",
		"pg_restore: error: COPY failed for table \"n\": ERREUR :  la valeur « customer » est hors des limites du type integer\n":                                                                                                                        "pg_restore: error: COPY failed for table \"n\": ERREUR :  la valeur … est hors des limites du type integer\n",
		"/usr/lib/pg_restore: symbol lookup error\n": "/usr/lib/pg_restore: symbol lookup error\n",
	} {
		if got := told("pg_restore", said); got != want || strings.Contains(got, "customer") {
			t.Errorf("told %q, want %q", got, want)
		}
	}
}
