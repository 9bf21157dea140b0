//go:build !cuda

package driver

import "unsafe"

// This file stands for the driver in programs that are built without it: there is no GPU, and nothing else is ever called.

// Built tells whether this program has the CUDA back-end.
const Built = false

// absent is the error of every call.
var absent error = &NoLibrary{Reason: "this program was built without the CUDA back-end"}

// Load gives the reason why there is no driver.
func Load() error { return absent }

// Version is 0.
func Version() int { return 0 }

// Count is 0.
func Count() (int, error) { return 0, absent }

// Name is an error, as is all that follows.
func (g GPU) Name() (string, error) { return "", absent }

// Memory is an error.
func (g GPU) Memory() (int, error) { return 0, absent }

// Capability is an error.
func (g GPU) Capability() (major, minor int, err error) { return 0, 0, absent }

// Attribute is an error.
func (g GPU) Attribute(int) (int, error) { return 0, absent }

// Mode is an error.
func (g GPU) Mode() (ComputeMode, error) { return 0, absent }

// Open is an error, so that there is no Context, and nothing of what one gives.
func (g GPU) Open() (*Context, error) { return nil, absent }

// Context is never there.
type Context struct{}

// Close is an error.
func (c *Context) Close() error { return absent }

// Alloc is an error.
func (c *Context) Alloc(int) (Ptr, error) { return 0, absent }

// Free is an error.
func (c *Context) Free(Ptr) error { return absent }

// MemInfo is an error.
func (c *Context) MemInfo() (free, total int, err error) { return 0, 0, absent }

// Pinned is an error.
func (c *Context) Pinned(int) ([]byte, error) { return nil, absent }

// FreePinned is an error.
func (c *Context) FreePinned([]byte) error { return absent }

// LoadModule is an error.
func (c *Context) LoadModule([]byte) (*Module, error) { return nil, absent }

// NewStream is an error.
func (c *Context) NewStream() (*Stream, error) { return nil, absent }

// NewEvent is an error.
func (c *Context) NewEvent(bool) (*Event, error) { return nil, absent }

// Module is never there.
type Module struct{}

// Unload is an error.
func (m *Module) Unload() error { return absent }

// Function is an error.
func (m *Module) Function(string) (*Function, error) { return nil, absent }

// Function is never there.
type Function struct{}

// SetMaxShared is an error.
func (f *Function) SetMaxShared(int) error { return absent }

// Attribute is an error.
func (f *Function) Attribute(int) (int, error) { return 0, absent }

// Stream is never there.
type Stream struct{}

// Close is an error.
func (s *Stream) Close() error { return absent }

// Launch is an error.
func (s *Stream) Launch(_ *Function, _, _ [3]uint32, _ uint32, _ unsafe.Pointer, _ uintptr) error {
	return absent
}

// Upload is an error.
func (s *Stream) Upload(Ptr, unsafe.Pointer, int) error { return absent }

// Download is an error.
func (s *Stream) Download(unsafe.Pointer, Ptr, int) error { return absent }

// Set is an error.
func (s *Stream) Set(Ptr, byte, int) error { return absent }

// Sync is an error.
func (s *Stream) Sync() error { return absent }

// Wait is an error.
func (s *Stream) Wait(*Event) error { return absent }

// BeginCapture is an error.
func (s *Stream) BeginCapture() error { return absent }

// EndCapture is an error.
func (s *Stream) EndCapture() (*Graph, error) { return nil, absent }

// Event is never there.
type Event struct{}

// Record is an error.
func (e *Event) Record(*Stream) error { return absent }

// Query is an error.
func (e *Event) Query() (bool, error) { return false, absent }

// Sync is an error.
func (e *Event) Sync() error { return absent }

// Close is an error.
func (e *Event) Close() error { return absent }

// Graph is never there.
type Graph struct{}

// Launch is an error.
func (g *Graph) Launch(*Stream) error { return absent }

// Close is an error.
func (g *Graph) Close() error { return absent }

// Blas is never there.
type Blas struct{}

// LoadBlas is an error.
func LoadBlas() (*Blas, error) { return nil, absent }

// Version is empty.
func (b *Blas) Version() string { return "" }

// Path is empty.
func (b *Blas) Path() string { return "" }

// NewHandle is an error.
func (b *Blas) NewHandle(*Stream, Ptr, int) (*Handle, error) { return nil, absent }

// Handle is never there.
type Handle struct{}

// Gemm is an error.
func (h *Handle) Gemm(*Product) error { return absent }

// Close is an error.
func (h *Handle) Close() error { return absent }

// Fuses is false.
func (b *Blas) Fuses() bool { return false }

// NewFusedHandle is an error.
func (b *Blas) NewFusedHandle(*Stream, Ptr, int) (*FusedHandle, error) { return nil, absent }

// FusedHandle is never there.
type FusedHandle struct{}

// Prepare is an error.
func (h *FusedHandle) Prepare(*FusedProduct) (*Fused, error) { return nil, absent }

// Close is an error.
func (h *FusedHandle) Close() error { return absent }

// Fused is never there.
type Fused struct{}

// Multiply is an error.
func (f *Fused) Multiply(a, b, c Ptr) error { return absent }

// Close is an error.
func (f *Fused) Close() error { return absent }
