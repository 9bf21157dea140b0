// Package devicetest tests devices, and what stands on them. Run is the suite that every back-end passes. Deferred is a
// second device, slow and strict, that finds code which leans on host memory or on calls that run at once. Recorder,
// Faulty and Checker are hooks for tests of the floors above.
package devicetest
