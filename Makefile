# The one door: every target sets up what it needs first and says what it does.
#   make demo       the test dancer as a looping stream and as an RTSP camera, one server, one agent, live;
#                   until Ctrl-C, or SECONDS=20
#   make demo-clip  render the test dancer, analyse the clip, draw the skeletons
#   make test       all tests          make lint    rustfmt and clippy
#   make soak       the long forms of the fault tests, then a long run: SECONDS=3600 (default 600)
#   make memcheck   the crates with unsafe code under valgrind
#   make bench      measurements beside their yardsticks, written to docs/reference/performance.md; about twenty
#                   minutes, or five and rough with QUICK=1
#   make fuzz-api   schemathesis against the running server: at least CALLS=5000 requests
#   make setup      packages and weights only
#   make check-cuda all of the CUDA path that can be built and tested without a GPU; the compiler comes from PyPI
#   make bench-cuda measures on a GPU all that must hold there, written to docs/reference/performance.md; DEVICE=cuda:N

# How long `make demo` runs; empty is until Ctrl-C.
SECONDS ?=
# Not empty: `make bench` measures for a short time only.
QUICK   ?=
# The clip of `make demo-clip`: ten seconds, 1080p60.
FRAMES  ?= 600
OUT     ?= out
# The least number of requests of `make fuzz-api`.
CALLS   ?=
KINORA := target/release/kinora

.PHONY: all setup packages build weights demo demo-clip test lint bench soak memcheck fuzz-api golden check-cuda bench-cuda clean

all: build

setup: packages build weights

packages:
	@tools/setup.sh

# Optimised in tests too: networks without optimisation are a hundred times slower, and one build serves all.
build: packages
	cargo build --release --locked

weights: build
	@tools/weights.sh $(KINORA)

demo: setup
	@tools/demo.py --kinora $(KINORA) --out $(OUT) $(if $(SECONDS),--seconds $(SECONDS))

demo-clip: setup
	@tools/demo_clip.sh $(KINORA) $(OUT) $(FRAMES)

test: setup
	cargo test --release --locked --workspace

lint: packages
	cargo fmt --all --check
	cargo clippy --release --locked --workspace --all-targets -- -D warnings

bench: setup
	@tools/bench/setup.sh
	@tools/bench/bench.py --kinora $(KINORA) $(if $(QUICK),--quick) --write docs/reference/performance.md

# Nothing may run beside it: it judges memory over time.
soak: setup
	cargo test --release --locked --workspace -- --ignored --nocapture --test-threads 1 soak_
	@tools/soak.py --kinora $(KINORA) --out $(OUT) --seconds $(or $(SECONDS),600)

# Two crates have unsafe code. valgrind knows no AVX-512 and hides it from the crates, which then choose what it knows.
memcheck: packages
	@tools/memcheck.sh

# Installs schemathesis from PyPI in a scratch environment; about five minutes.
fuzz-api: setup
	@tools/fuzz_api.py --kinora $(KINORA) $(if $(CALLS),--calls $(CALLS))

# Golden numbers of the tests, from TensorFlow Lite and MediaPipe in a scratch environment; rarely needed.
golden: setup
	@tools/golden/make.sh $(KINORA)

check-cuda: setup
	@tools/check_cuda.sh

bench-cuda: setup
	@tools/bench_cuda.sh $(if $(QUICK),--quick)

clean:
	cargo clean
	rm -rf $(OUT) .cache
