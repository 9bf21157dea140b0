package devicetest

import (
	"fmt"

	"github.com/acumen-ml/acumen/device"
)

// checkRows panics unless the shape of many is idx's followed by table's without its first axis, and idx whole.
func checkRows(kernel string, many, table, idx device.View) {
	k := int(idx.Rank)
	ok := table.Rank >= 1 && int(many.Rank) == k+int(table.Rank)-1 && idx.Type.IsInt()
	for i := 0; ok && i < int(many.Rank); i++ {
		if i < k {
			ok = many.Dim[i] == idx.Dim[i]
		} else {
			ok = many.Dim[i] == table.Dim[i-k+1]
		}
	}
	if !ok {
		panic(fmt.Sprintf("deferred.%s: rows %s, table %s, index %s", kernel, many, table, idx))
	}
}

// eachRow calls f for every index with the row of many and the row of table that it names, and stops at an index that
// is outside table.
func eachRow(kernel string, many, table, idx device.View, f func(many, table device.View)) error {
	if many.Len() == 0 {
		return nil
	}
	k := int(idx.Rank)
	head, row := many, table
	head.Rank = uint8(k)
	for i := k; i < device.MaxRank; i++ {
		head.Dim[i] = 0
	}
	row.Rank--
	copy(row.Dim[:], table.Dim[1:])
	copy(row.Str[:], table.Str[1:])
	row.Dim[row.Rank] = 0
	one := row // the shape of a row, with many's strides
	one.Mem, one.Type = many.Mem, many.Type
	for i := range int(row.Rank) {
		one.Str[i] = many.Str[k+i]
	}
	at := offsets(head)
	for i, x := range load(idx, device.I32) {
		if x < 0 || int(x) >= table.D(0) {
			return fmt.Errorf("deferred: %s: index %d, at place %d, is outside 0 to %d", kernel, int(x), i, table.D(0)-1)
		}
		one.Off = at[i]
		row.Off = table.Off + int(x)*int(table.Str[0])
		f(one, row)
	}
	return nil
}

// Gather is y[i...] = x[idx[i...]].
func (d *Deferred) Gather(y, x, idx device.View) {
	checkRows("Gather", y, x, idx)
	d.enqueue(call("Gather", 0, y, x, idx), func() error {
		ct := device.Compute(y.Type, x.Type)
		return eachRow("Gather", y, x, idx, func(y, x device.View) { store(y, ct, load(x, ct)) })
	})
}

// ScatterAdd is y[idx[i...]] += x[i...], in the order of i.
func (d *Deferred) ScatterAdd(y, x, idx device.View) {
	checkRows("ScatterAdd", x, y, idx)
	c := call("ScatterAdd", x.Len(), y, x, idx, y)
	d.enqueue(c, func() error {
		ct := device.Compute(y.Type, x.Type)
		return eachRow("ScatterAdd", x, y, idx, func(x, y device.View) {
			s, t := load(y, ct), load(x, ct)
			for i := range s {
				s[i] += t[i]
			}
			store(y, ct, s)
		})
	})
}
