package sample

import (
	"fmt"
	"math/rand/v2"
)

// Characters that make names; each is common, and the combinations are left to
// chance.
var (
	surnames = []rune("王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗梁宋郑谢韩唐冯于董萧")
	male     = []rune("伟强磊军勇杰涛明超刚平辉鹏华飞宇浩然文博志远建国")
	female   = []rune("芳娜敏静丽艳娟霞秀英玲桂兰婷雪梅慧琳倩怡欣悦淑珍")
	streets  = []string{"人民路", "建设街", "和平里", "解放大道", "春风巷", "学府路", "长青街", "河滨路"}
	trades   = []string{"餐饮服务", "五金销售", "软件开发", "家政服务", "道路运输", "服装零售", "农产品加工", "印刷装订"}
)

func name(r *rand.Rand, surname rune, woman bool) string {
	given := male
	if woman {
		given = female
	}
	n := []rune{surname, given[r.IntN(len(given))]}
	if r.IntN(3) > 0 {
		n = append(n, given[r.IntN(len(given))])
	}
	return string(n)
}

func surname(r *rand.Rand) rune { return surnames[r.IntN(len(surnames))] }

// telephone makes a number under a prefix that no operator has.
func telephone(r *rand.Rand) string { return fmt.Sprintf("990%08d", r.IntN(100_000_000)) }
