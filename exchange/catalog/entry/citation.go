package entry

import "regexp"

// What may be cited, by the last word of its title. Departments' own rules (规章)
// are among 规定 and 办法 as regulations of the State Council are: no title tells
// them apart, so the review does.
const kinds = `(?:宪法|法|法典|条例|规定|办法|决定|决议|通知|意见|方案|细则|令)`

// A title in 《》, perhaps with what edition it is, or a law's name with an
// article of it.
var (
	titled  = regexp.MustCompile(`《[^《》]{1,80}` + kinds + `(?:[（(][^《》]{1,30}[)）])?》`)
	article = regexp.MustCompile(`\p{Han}{1,40}` + kinds + `》?\s*第\s*[0-9〇零一二三四五六七八九十百千]{1,8}\s*条`)
	decree  = regexp.MustCompile(`国务院令\s*第?\s*[0-9]{1,5}\s*号`)
)

// CitationRule says what Cites looks for.
const CitationRule = "cites a law, an administrative regulation or a decision of the State Council: " +
	"its title in 《》, its name with an article (税收征收管理法第八条), or its number (国务院令第649号)"

// Cites says whether a text cites what Decree 809, art. 14, lets an entry be not
// shared by. That what is cited exists and says so is for the review.
func Cites(text string) bool {
	return titled.MatchString(text) || article.MatchString(text) || decree.MatchString(text)
}
