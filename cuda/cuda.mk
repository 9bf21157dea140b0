# The CUDA back-end: its tool chain, kernels, stand-in driver and tests. The Makefile includes this.
PYTHON       ?= python3
CUDA_ARCHS   ?= # which GPUs `make cubins` compiles for, with commas between: all of them if empty
CUDA_TEST_ARCHS ?= sm_90,compute_80# what the tests' stand-in can load: an H100's machine code, PTX for other GPUs
CUDA_TIMEOUT ?= 40m
COMPILE      := $(PYTHON) cuda/kernels/compile.py
SIM          := $(CURDIR)/build/sim
SIM_CHECKED  := $(CURDIR)/build/sim-checked
BUNDLE       := build/gpu-bundle
BUNDLE_MOST  := 41943040# bytes: what can be carried to a machine that has no network

# with_cuda runs a go command with cgo and the headers of CUDA 12 or 13 ($(1)). The folder before them makes
# gorgonia.org/cu compile with either.
with_cuda = headers=$$(cuda/toolchain.sh $(1) --include) && CGO_ENABLED=1 \
	CGO_CFLAGS="-O2 -g '-I$(CURDIR)/cuda/driver/compat' '-I$$headers'"
# under runs it with the stand-in driver of a folder, $(1), in place of NVIDIA's: leaks and uses of the legacy stream fail.
under = LD_LIBRARY_PATH=$(1)$${LD_LIBRARY_PATH:+:$$LD_LIBRARY_PATH} ACUMEN_CUBLAS=$(1)/libcublas.so.12 \
	ACUSIM_LEAKS=error ACUSIM_LEGACY=error

.PHONY: cuda cubins cuda-resources cuda-13 sim test-cuda test-cuda-ops test-cuda-training test-cuda-checked test-cuda-checked-training ops-errors gpu-bundle gpu-bundle-dry lint-cuda cc cxx

cuda: cc cubins ## bin/acumen-cuda: both back-ends, with kernels for all GPUs (fetches NVIDIA's compiler; needs gcc)
	@command -v $(GO) >/dev/null || { echo "make: Go 1.26 or later is needed: https://go.dev/dl" >&2; exit 2; }
	$(call with_cuda,12) $(GO) build -tags cuda -trimpath -ldflags '$(LDFLAGS)' -o bin/acumen-cuda ./cmd/acumen

cubins: ## compile the CUDA kernels; CUDA_ARCHS=sm_90 only for that GPU
	$(COMPILE) $(if $(strip $(CUDA_ARCHS)),--arch $(strip $(CUDA_ARCHS)))

cuda-resources: ## registers, spills, shared memory and occupancy of each kernel; CUDA_ARCHS=sm_90,sm_120
	$(COMPILE) --resources $(if $(strip $(CUDA_ARCHS)),--arch $(strip $(CUDA_ARCHS)))

cuda-13: cc cxx ## check that CUDA 13's compiler and headers take the kernels and bindings too
	$(COMPILE) --compiler 13 $(if $(strip $(CUDA_ARCHS)),--arch $(strip $(CUDA_ARCHS)))
	$(call with_cuda,13) $(GO) build -tags cuda -o /dev/null ./cmd/acumen

sim: cxx ## the stand-in driver, which runs the kernels on the CPU: build/sim, and build/sim-checked that sees every access
	cuda/sim/build.sh fast $(SIM)
	cuda/sim/build.sh checked $(SIM_CHECKED)

# Most tests keep one processor busy, so those of both builds of the stand-in run side by side, the longest first.
test-cuda: cc sim ## the CUDA back-end's tests, on the stand-in driver; no GPU needed
	$(PYTHON) -m unittest discover -s cuda/kernels -p '*_test.py'
	$(COMPILE) --arch $(strip $(CUDA_TEST_ARCHS))
	+$(MAKE) --no-print-directory --keep-going --output-sync -j 2 $(CUDA_TESTS)

CUDA_TESTS := test-cuda-checked test-cuda-training test-cuda-checked-training test-cuda-ops
cuda_test = $(call with_cuda,12) $(call under,$(1)) $(GO) test -tags cuda -count=1 -timeout $(CUDA_TIMEOUT)

test-cuda-ops:
	$(call cuda_test,$(SIM)) ./cuda/... $$($(GO) list ./device/... | grep -v /device/cpu) ./ops/... ./model/...

test-cuda-training:
	$(call cuda_test,$(SIM)) -run 'OnAccelerators|EveryDriverCall' ./trainer ./cmd/acumen

test-cuda-checked:
	$(call cuda_test,$(SIM_CHECKED)) ./cuda ./ops/opstest ./model

test-cuda-checked-training:
	$(call cuda_test,$(SIM_CHECKED)) -short -run 'LeNet5OnAccelerators/cuda:0/^f(32|16)$$' ./trainer

ops-errors: cc sim ## docs/ops-errors.md: each op's worst errors on the CPU and the stand-in, whose builds must agree on them
	$(COMPILE) --arch $(strip $(CUDA_TEST_ARCHS))
	$(call with_cuda,12) $(call under,$(SIM)) \
	  $(GO) test -tags cuda -count=1 -run Page ./ops/opstest -page $(CURDIR)/build/ops-errors.md
	$(call with_cuda,12) $(call under,$(SIM_CHECKED)) \
	  $(GO) test -tags cuda -count=1 -run Page ./ops/opstest -page $(CURDIR)/build/ops-errors-checked.md
	diff build/ops-errors.md build/ops-errors-checked.md
	mv build/ops-errors.md docs/ops-errors.md

gpu-bundle: cc cubins ## build/gpu-bundle/acumen-gpu-bundle: tests and benchmarks for a GPU machine without Go or network
	$(call with_cuda,12) $(GO) test -c -tags cuda,bundle -trimpath -o $(BUNDLE)/program \
	  -ldflags '-s -w -X github.com/acumen-ml/acumen/cuda/bundle.commit=$(VERSION)' ./cuda
	$(GO) build -trimpath -ldflags '-s -w' -o $(BUNDLE)/launcher ./cuda/bundle/launcher
	$(BUNDLE)/launcher $(BUNDLE)/program $(BUNDLE)/acumen-gpu-bundle
	@size=$$(stat -c %s $(BUNDLE)/acumen-gpu-bundle); echo "$(BUNDLE)/acumen-gpu-bundle: $$size bytes, at most $(BUNDLE_MOST)"; \
	  test $$size -le $(BUNDLE_MOST) || { echo "make gpu-bundle: it is too large: in a clone without compiled kernels, CUDA_ARCHS=sm_90,compute_80 leaves out other GPUs" >&2; exit 1; }

gpu-bundle-dry: gpu-bundle cxx ## the GPU bundle's stages at small sizes on the stand-in driver
	cuda/sim/build.sh fast $(SIM)
	rm -rf $(BUNDLE)/dry
	$(call under,$(SIM)) $(BUNDLE)/acumen-gpu-bundle --dry --out $(BUNDLE)/dry --python $(PYTHON)

lint-cuda: cc ## go vet of what the tag cuda adds
	$(call with_cuda,12) $(GO) vet -tags cuda,bundle ./...

cc:
	@command -v $${CC:-gcc} >/dev/null || { echo "make: the CUDA bindings need a C compiler: install gcc (Debian: apt-get install gcc libc6-dev), or set CC" >&2; exit 2; }

cxx:
	@command -v $${CXX:-g++} >/dev/null || { echo "make: this target needs a C++ compiler: install g++ (Debian: apt-get install g++), or set CXX" >&2; exit 2; }
