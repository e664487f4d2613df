// Package sample makes records as department systems hold them, for the demo,
// benchmarks and tests. Equal seeds give equal records.
//
// Nobody in them exists: resident identity numbers are of the region 999999,
// which GB/T 2260 does not assign, and credit codes carry the same region.
// Check digits are right, so the records pass the exchange's validation.
package sample
