package main

import "fmt"

// placed is a body whose values have registers, with instructions to fit.
type placed struct {
	lines []string // of assembly; "load 1 Z2" stands for a load from array 1
	held  []val    // constants that are in registers, from register first on
	first int
	outs  []string // registers of the results
}

// place gives registers to the values of b, of which the outs are live at its end: to temporaries from 0 on, and then, below
// limit, to constants. Constants for which none is left are read from memory where they are used.
func (b *body) place(limit int, outs []val) placed {
	temporaries := 0
	for ; ; temporaries++ {
		if _, ok := b.tryPlace(temporaries, nil, outs); ok {
			break
		}
		if temporaries == limit {
			panic(fmt.Sprintf("a body of %d values needs more than %d registers", len(b.code), limit))
		}
	}
	all := b.constants(outs)
	held := all[:min(len(all), limit-temporaries)]
	for _, c := range all[len(held):] {
		if b.held(c) {
			panic("a number of the call, or a table, has no register")
		}
	}
	p, _ := b.tryPlace(temporaries, held, outs)
	return p
}

// allocation is the state of registers while instructions are written.
type allocation struct {
	*body
	placed
	last        []int    // the node that reads a value last
	at          []string // a value's register
	free, kfree []string
}

func (b *body) tryPlace(temps int, held []val, outs []val) (placed, bool) {
	a := &allocation{body: b, placed: placed{held: held, first: temps}, last: make([]int, len(b.code)), at: make([]string, len(b.code))}
	for r := temps - 1; r >= 0; r-- {
		a.free = append(a.free, b.isa.v(r))
	}
	for k := 7; k >= 2; k-- {
		a.kfree = append(a.kfree, fmt.Sprintf("K%d", k))
	}
	for i, v := range held {
		a.at[v] = b.isa.v(temps + i)
	}
	for i, n := range b.code {
		for _, x := range n.args {
			a.last[x] = i
		}
	}
	for _, o := range outs {
		a.last[o] = len(b.code)
	}
	for i := range b.code {
		if !a.node(val(i)) {
			return a.placed, false
		}
	}
	for _, o := range outs {
		a.outs = append(a.outs, a.at[o])
	}
	return a.placed, true
}

func (a *allocation) op(format string, args ...any) {
	a.lines = append(a.lines, fmt.Sprintf(format, args...))
}

// take is a free register, "" if there is none.
func take(free *[]string) string {
	if len(*free) == 0 {
		return ""
	}
	r := (*free)[len(*free)-1]
	*free = (*free)[:len(*free)-1]
	return r
}

// dies gives back the registers of those arguments of node i that nothing reads later.
func (a *allocation) dies(i val) {
	seen := map[val]bool{}
	for _, x := range a.code[i].args {
		if a.outside(x) || a.last[x] != int(i) || seen[x] {
			continue
		}
		seen[x] = true
		if a.code[x].mask && a.isa == avx512 {
			a.kfree = append(a.kfree, a.at[x])
		} else {
			a.free = append(a.free, a.at[x])
		}
	}
}

// inMemory reports whether v is a constant that has no register.
func (a *allocation) inMemory(v val) bool { return a.outside(v) && a.at[v] == "" }

// address is where a constant lies.
func (b *body) address(v val) string {
	switch b.code[v].op {
	case opParam:
		return fmt.Sprintf("%d(DI)", vecK+4*b.n[v])
	case opTable:
		return tableName(b.tables[b.n[v]]) + "(SB)"
	}
	return constantName(uint32(b.n[v])) + "(SB)"
}

// operand is v as the first argument of an op: a register, or memory, with the op's name for that.
func (a *allocation) operand(op string, v val) (name, at string) {
	if !a.inMemory(v) {
		return op, a.at[v]
	}
	if a.isa == avx512 {
		op += ".BCST"
	}
	return op, a.address(v)
}

// fetch is the instruction that brings a constant to a register.
func (b *body) fetch(v val, reg string) string {
	how := "VMOVUPS"
	if b.code[v].op == opParam || b.code[v].op == opConst && b.isa == avx512 {
		how = "VBROADCASTSS"
	}
	return fmt.Sprintf("%s %s, %s", how, b.address(v), reg)
}

// inRegister is v's register; of a constant in memory it is a fresh one, which the caller gives back.
func (a *allocation) inRegister(v val) (reg string, fresh, ok bool) {
	if !a.inMemory(v) {
		return a.at[v], false, true
	}
	if reg = take(&a.free); reg == "" {
		return "", false, false
	}
	a.op("%s", a.fetch(v, reg))
	return reg, true, true
}

// node writes the instructions of node i; false if there is no register for it.
func (a *allocation) node(i val) bool {
	n := a.code[i]
	switch n.op {
	case opConst, opTable, opParam:
		return true
	case opLoad:
		if a.at[i] = take(&a.free); a.at[i] == "" {
			return false
		}
		a.op("load %d %s", a.n[i], a.at[i])
		return true
	case opFMA:
		return a.fma(i)
	case opLookup:
		if a.at[i] = take(&a.free); a.at[i] == "" {
			return false
		}
		a.op("VMOVAPS %s, %s", a.at[n.args[2]], a.at[i])
		a.op("%s %s, %s, %s", n.op, a.at[n.args[0]], a.at[n.args[1]], a.at[i])
		a.dies(i)
		return true
	}
	regs := make([]string, len(n.args))
	op := n.op
	var fresh []string
	for k, x := range n.args {
		if k == 0 && a.mayRead(op) {
			op, regs[k] = a.operand(op, x)
			continue
		}
		r, f, ok := a.inRegister(x)
		if !ok {
			return false
		}
		if regs[k] = r; f {
			fresh = append(fresh, r)
		}
	}
	a.dies(i)
	a.free = append(a.free, fresh...)
	from := &a.free
	if n.mask && a.isa == avx512 {
		from = &a.kfree
	}
	if a.at[i] = take(from); a.at[i] == "" {
		return false
	}
	line := op
	if n.imm != "" {
		line += " " + n.imm + ","
	}
	for _, r := range regs {
		line += " " + r + ","
	}
	a.op("%s %s", line, a.at[i])
	return true
}

// mayRead reports whether an op's first argument may lie in memory.
func (a *allocation) mayRead(op string) bool {
	switch op {
	case "VMOVAPS.Z", "VBLENDVPS", "VPSLLD", "VPSRLD", "VPSRAD":
		return false
	}
	return true
}

// fma writes a product and a sum in the form that costs no move, if one of the three is read last here.
func (a *allocation) fma(i val) bool {
	n := a.code[i]
	x, y, z := n.args[0], n.args[1], n.args[2]
	dying := func(v val) bool { return !a.outside(v) && a.last[v] == int(i) }
	if a.inMemory(x) || !dying(x) && dying(y) { // x and y may change places; memory and what lives on stand second
		x, y = y, x
	}
	form := func(form string, src val, mid, dst val) bool {
		m, fresh, ok := a.inRegister(mid)
		if !ok {
			return false
		}
		op, s := a.operand(n.imm+form, src)
		a.op("%s %s, %s, %s", op, s, m, a.at[dst])
		if fresh {
			a.free = append(a.free, m)
		}
		reg := a.at[dst]
		a.at[i] = reg
		a.dies(i)
		for k, r := range a.free { // the result has taken the register
			if r == reg {
				a.free = append(a.free[:k], a.free[k+1:]...)
				break
			}
		}
		return true
	}
	switch {
	case dying(z) && z != x && z != y:
		return form("231PS", y, x, z)
	case dying(x) && a.inMemory(y) && !a.inMemory(z):
		return form("132PS", y, z, x)
	case dying(x):
		return form("213PS", z, y, x)
	}
	reg := take(&a.free)
	if reg == "" {
		return false
	}
	if a.inMemory(z) {
		a.op("%s", a.fetch(z, reg))
	} else {
		a.op("VMOVAPS %s, %s", a.at[z], reg)
	}
	m, fresh, ok := a.inRegister(x)
	if !ok {
		return false
	}
	op, s := a.operand(n.imm+"231PS", y)
	a.op("%s %s, %s, %s", op, s, m, reg)
	if fresh {
		a.free = append(a.free, m)
	}
	a.dies(i)
	a.at[i] = reg
	return true
}
