# The container image. The Makefile includes this.
DOCKER ?= docker
IMAGE  ?= acumen

.PHONY: image image-slim lint-container test-container

image: ## the container image with cuBLAS; CUDA_ARCHS=sm_90 for that GPU alone
	$(DOCKER) build -f Dockerfile.cuda -t $(IMAGE) $(image_args) .

image-slim: ## the container image without cuBLAS
	$(DOCKER) build -f Dockerfile.cuda -t $(IMAGE):slim --target runtime-slim $(image_args) .

image_args = --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) \
	--build-arg CUDA_ARCHS=$(strip $(CUDA_ARCHS))

lint-container: ## hadolint over Dockerfile.cuda, and its tests that need no build
	cuda/container/lint.sh
	$(PYTHON) -m unittest discover -s cuda/container -p 'dockerfile_test.py'

test-container: sim ## build the image's stages without a container engine, and test what comes out (as root; needs debootstrap)
	cuda/container/on-debootstrap.sh $(if $(strip $(CUDA_ARCHS)),--archs $(strip $(CUDA_ARCHS)))
