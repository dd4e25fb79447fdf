# Antiphon: `make help` lists what there is to do.

# Compiled files go to a folder outside the checkout that all checkouts share: the embedded engine takes many minutes
# to compile, and is then compiled once per machine, not once per clone. A value that is set already is kept.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/antiphon/target

# JACK and PipeWire ports are compiled in where JACK's development files are (tools/setup.sh installs them).
# Looked up at each use and not once, because the set-up may have installed them in the same call.
FEATURES = $(shell pkg-config --exists jack 2>/dev/null && echo jack)

# The same for build, test and lint, so that nothing is compiled twice.
CARGO_FLAGS = --release --workspace --locked $(if $(FEATURES),--features $(FEATURES))

RELEASE = $(CARGO_TARGET_DIR)/release
SCRIPTS = $(wildcard tools/*.sh tools/*/*.sh tests/*/*.sh fuzz/*.sh) tools/alsa-vm/init .ci/run
ARGS =
SECONDS = 60
MINUTES = 60
N = 20
EVENTS = 1000000
SEED = 1

.PHONY: help checkout jam build test lint audit test-cargo test-jack test-browser test-alsa cable-test sound-test load-test kill-test \
        recipes bench-live bench-synth compare-synth soak note-debts fuzz sbom train train-shared bench-train bench-read docs examples songs \
        setup setup-test
.NOTPARALLEL:

# The developer's own configuration has no say in tests and measurements.
test-cargo test-jack test-browser test-alsa cable-test sound-test load-test bench-live soak: export ANTIPHON_CONFIG = none

help: ## this table
	@echo 'make TARGET [ARGS="..."]'
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

jam: build ## play: set up what is missing, build, run `antiphon jam`; ARGS="--seed 7" passes options on
	@tools/foreground.sh $(RELEASE)/antiphon jam $(ARGS)

build: setup checkout ## build `antiphon` and `antiphon-train`
	cargo build $(CARGO_FLAGS)

test: setup-test lint test-cargo test-alsa ## everything: lint, all tests, on JACK and on ALSA where the machine can

lint: setup checkout ## formatting, clippy, licences, shell scripts
	cargo fmt --all --check
	cargo clippy $(CARGO_FLAGS) --all-targets -- -D warnings
	@if cargo deny --version >/dev/null 2>&1; then set -x; cargo deny --offline check licenses bans sources; \
	else echo 'lint: left out: cargo deny (cargo install cargo-deny --locked)'; fi
	@if command -v shellcheck >/dev/null; then set -x; shellcheck $(SCRIPTS); \
	else echo 'lint: left out: shellcheck'; fi

audit: ## known weaknesses in dependencies (cargo deny; needs the network)
	cargo deny check advisories

test-cargo: setup checkout ## unit and integration tests, the one on a JACK server among them
	cargo test $(CARGO_FLAGS)

test-jack: setup checkout ## only the session on a JACK server, with its figures
	cargo test $(CARGO_FLAGS) --test jack_session -- --nocapture

test-browser: setup-test checkout ## only the page in headless Chromium, with its figures; PICTURES=FOLDER keeps screenshots
	$(if $(PICTURES),ANTIPHON_PICTURES='$(abspath $(PICTURES))') cargo test $(CARGO_FLAGS) --test browser -- --nocapture

test-alsa: build ## only the session on the ALSA sequencer, in a virtual machine
	@tests/alsa/run.sh $(RELEASE)/antiphon models/antiphon.onnx

cable-test: build ## keyboards, synths, JACK clients and JACK's server go and come back N=20 times; ends with one JSON line
	@tests/cable_test/run.sh $(RELEASE)/antiphon models/antiphon.onnx $(N) \
	  cargo test $(CARGO_FLAGS) --test jack_session over_and_over

sound-test: build ## --synth on a sound card that is pulled out and put back, in a virtual machine
	@tests/alsa/run.sh $(RELEASE)/antiphon models/antiphon.onnx sound

recipes: build ## recipes of the guide with the real programs, on a JACK server of its own: FluidSynth, Ardour, mido; ARGS=ardour
	@tools/recipes/run.sh $(RELEASE)/antiphon $(ARGS)

kill-test: setup-test checkout ## the daemon is killed N=20 times at random moments while it records; every file is looked at, by mido too
	@mido=$$(tools/venv.sh kill-test tests/kill_test/requirements.txt) && \
	ANTIPHON_MIDO="$$mido" cargo test $(CARGO_FLAGS) --test kill_test -- --kills $(N) --lanes $$(getconf _NPROCESSORS_ONLN)

load-test: setup-test checkout ## floods through a JACK server for SECONDS=60: all is counted, nothing sticks; ends with one JSON line
	cargo test $(CARGO_FLAGS) --test load -- --seconds $(SECONDS)

note-debts: setup checkout ## sessions at random under virtual time until EVENTS=1000000: nothing may go on sounding; SEED=1
	@line=$$(mktemp) && ANTIPHON_NOTE_DEBTS='$(EVENTS) $(SEED)' ANTIPHON_NOTE_DEBTS_LINE="$$line" \
	  cargo test $(CARGO_FLAGS) --lib nothing_goes_on_sounding -- --nocapture; ended=$$?; cat "$$line"; rm -f "$$line"; exit $$ended

bench-live: setup-test checkout ## the daemon on a JACK server with a simulated player: how well it keeps time; SECONDS=60
	cargo bench $(filter-out --release,$(CARGO_FLAGS)) --bench live -- --seconds $(SECONDS) $(ARGS)

bench-synth: setup checkout ## which share of real time the sound of --synth takes with 64 voices; ARGS="--soundfont piano.sf2 --seconds 30"
	cargo bench $(filter-out --release,$(CARGO_FLAGS)) --bench synth -- $(ARGS)

compare-synth: build ## antiphon render beside FluidSynth, the same notes on the same SoundFont; ARGS=FONT.sf2
	@tools/compare-fluidsynth/compare.sh $(RELEASE)/antiphon $(ARGS)

soak: setup-test checkout ## as bench-live for MINUTES=60, held against what a long session must keep: memory, misses, stuck notes, the take
	cargo bench $(filter-out --release,$(CARGO_FLAGS)) --bench live -- --soak --seconds $$(($(MINUTES) * 60)) $(ARGS)

train: build ## train the model on mid_songs; ARGS passes options on
	$(RELEASE)/antiphon-train mid_songs $(ARGS)

train-shared: build ## train the bundled model as it was shipped, on DATA=../shared/data, with PyTorch, best on a GPU; ARGS passes settings on
	tools/train-bundled.sh $(RELEASE)/antiphon-train $(or $(DATA),../shared/data) $(ARGS)

bench-train: examples ## speed of training beside PyTorch (5.4 GB, once); ARGS="--rounds=3 --hidden=256" and so on
	@tools/bench-train/bench.sh $(RELEASE)/examples/train_speed $(ARGS)

bench-read: examples ## speed of reading .mid files beside symusic and music21, on DATA=FOLDER
	@tools/bench-read/bench.sh $(RELEASE)/examples/read_speed $(or $(DATA),$(firstword $(wildcard ../shared/data) mid_songs))

fuzz: setup ## foreign bytes of every kind, mutated by libFuzzer, for SECONDS=60 in all; ends with one JSON line
	@fuzz/run.sh $(SECONDS)

sbom: setup ## what the program is built from, as CycloneDX, in SBOM=FILE
	tools/sbom.py $(if $(FEATURES),--features $(FEATURES)) >'$(or $(SBOM),$(CARGO_TARGET_DIR)/antiphon.cdx.json)'
	@echo 'wrote $(or $(SBOM),$(CARGO_TARGET_DIR)/antiphon.cdx.json)'

docs: build ## the guide, manual pages and completions for shells, in one folder
	@mkdir -p $(CARGO_TARGET_DIR)/docs/completions
	@cp -r docs/guide docs/*.md $(CARGO_TARGET_DIR)/docs
	@$(RELEASE)/antiphon man $(CARGO_TARGET_DIR)/docs/man
	@for shell in bash elvish fish powershell zsh; do \
		$(RELEASE)/antiphon completions $$shell > $(CARGO_TARGET_DIR)/docs/completions/antiphon.$$shell || exit; \
	done
	@echo 'docs: $(CARGO_TARGET_DIR)/docs'

examples: build
	cargo build $(CARGO_FLAGS) --examples

songs: ## render mid_songs/*/*.abc to .mid (needs abc2midi)
	tools/render-songs.sh $(ARGS)

# Cargo tells checkouts that share a target directory apart by the times of their files alone, and may take what another
# one has built for its own. So a change of checkout begins with our two packages built anew; the dependencies stay.
checkout:
	@if [ "$$(cat '$(CARGO_TARGET_DIR)/checkout' 2>/dev/null)" != '$(CURDIR)' ]; then \
	  cargo clean --release --locked -p antiphon -p antiphon-train >/dev/null 2>&1 || true; \
	  mkdir -p '$(CARGO_TARGET_DIR)' && echo '$(CURDIR)' >'$(CARGO_TARGET_DIR)/checkout'; fi

setup: ## install what the build needs (Debian, Ubuntu; elsewhere it says what is missing)
	@tools/setup.sh

setup-test: ## install what the tests need as well
	@tools/setup.sh --test
