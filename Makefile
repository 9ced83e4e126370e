# `make help` lists the targets. Each part can be made alone; `check` and `test` make two at a time and judge each.
VENV := .venv
BIN := $(CURDIR)/$(VENV)/bin
export PATH := $(BIN):$(PATH)

SOURCES := plugins tests demo molecule tools/get_pip.py tools/docs
# In the order of tests/conftest.py: xdist would begin with the groups that have most tests.
PYTEST := pytest --numprocesses auto --dist loadgroup --no-loadscope-reorder --durations 20
SCENARIOS := systemd supervisord old postgresql mysql qhub
# Distinguishes molecule's containers and images of this checkout from those of another one.
export HUBOPS_CHECKOUT := $(firstword $(shell printf %s '$(CURDIR)' | cksum))

# Where tools/test-disk has mounted a file system for the tests, they write there.
export TMPDIR := $(firstword $(wildcard /mnt/hubops/tmp) $(TMPDIR) /tmp)

# The longest first, but for what is short beside the installation of the engine. The tests begin without images.
CHECK := sanity lint unit docs artifact
TEST := engine images tests clusters faults-short $(SCENARIOS:%=molecule-%) failures-short artifact docs lint sanity demo demo-clean
ON_IMAGES := $(filter faults-short molecule-% failures-short clusters,$(TEST))

.PHONY: help venv check test lint sanity artifact docs unit hubs servers firewall browser engine images kubernetes clusters clusters-killed molecule other-systems refusals pages hub-pages keycloak redeployments faults faults-short failures failures-short tests demo demo-clean cores bench clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' Makefile

venv:  ## make .venv with what the tests need
	@tools/venv

check: venv  ## everything without Docker: lint, sanity, artifact, unit
	@tools/parts $(CHECK)

test: venv  ## everything: check, images, molecule, demo, refusals, selections of faults and failures
	@tools/parts $(TEST)

# The targets of tools/parts: two at a time, each after what it needs.
PARTS := $(addprefix part-,$(sort $(CHECK) $(TEST)))
.PHONY: $(PARTS)
$(PARTS):
	@tools/part $(@:part-%=%)
part-images part-tests: part-engine
$(ON_IMAGES:%=part-%): part-images
part-demo-clean: part-demo

lint: venv  ## ansible-lint, yamllint, ruff, mypy
	ruff check
	ruff format --check
	mypy $(wildcard $(SOURCES))
	yamllint --strict .
	ansible-lint --strict

sanity: venv  ## ansible-test sanity
	tools/sanity

artifact: venv  ## build and install the collection, and check its contents
	tools/artifact

docs: venv  ## the documentation site, in build/docs/html; fails at a link that leads nowhere
	python -m tools.docs

unit: venv  ## unit tests
	pytest tests/unit

hubs: servers firewall  ## real hubs and environments on this machine, without Docker
	$(PYTEST) tests/hubs

servers: venv  ## the database servers that tests start, installed where this is Debian and we are root
	tools/database-servers

firewall: venv  ## nftables, installed where this is Debian and we are root
	tools/firewall

browser: venv  ## the browser in which tests look at pages, installed where this is Debian and we are root
	tools/browser

engine: venv  ## a running Docker engine, installed where this is Debian and we are root
	tools/docker-engine

images: engine  ## the test bed's images
	python -m tests.testbed

kubernetes: venv  ## the programs of a Kubernetes cluster, built once for all checkouts in 7 minutes
	tools/kubernetes

clusters: images kubernetes  ## releases of Zero to JupyterHub in a real cluster of one node, or in that of KUBECONFIG
	$(PYTEST) tests/clusters

clusters-killed: images kubernetes  ## Helm, controller and node killed at each moment of an upgrade, and run again; PostgreSQL through all majors: half an hour
	$(PYTEST) tests/clusters/killed.py tests/clusters/majors.py
	pytest tests/clusters/killed_node.py

molecule: $(SCENARIOS:%=molecule-%) molecule-z2jh  ## the molecule scenarios; `make molecule-systemd` makes one

.PHONY: $(SCENARIOS:%=molecule-%) molecule-z2jh
molecule-z2jh: kubernetes  # a release through all versions of the chart; not in `make test`
$(SCENARIOS:%=molecule-%) molecule-z2jh: images
	molecule test --scenario-name $(@:molecule-%=%)

other-systems: engine  ## a hub in a container of Debian 13, with its Python 3.13, upgraded and rolled back; its images are built for that
	pytest -s tests/hubs/docker/other_systems.py

# Not in `make test`: tests/hubs/layouts/test_littlest.py has the layout there.
.PHONY: molecule-littlest
molecule-littlest: engine  ## the scenario of The Littlest JupyterHub's layout, with its image
	python -m tests.testbed littlest
	molecule test --scenario-name littlest

refusals: images  ## bad input, each refused with its message and nothing changed
	pytest tests/refusals

faults: images  ## an upgrade cut off or broken at each task and step of its outage; writes build/faults.json
	python -m tests.faults --jobs $$(nproc)

faults-short: images  ## the faults that differ most
	python -m tests.faults --selection --jobs 1

failures: images  ## why upgrades fail, each on a real hub, and which part notices; writes build/failures.json
	python -m tests.failures --jobs $$(nproc)

failures-short: images  ## two of them, one caught by the preflight and one by the rehearsal
	python -m tests.failures --selection --jobs 1

pages: browser firewall  ## the pages of report and plan in a real browser
	pytest tests/pages

hub-pages: browser firewall  ## a hub's pages and a notebook in that browser while it is upgraded, behind its own proxy and an external one; pages has the first
	HUBOPS_TEST_PROXIES="managed external" pytest tests/pages/test_hub_pages.py

keycloak: venv  ## Java and Maven for the tests' Keycloak, installed where this is Debian and we are root
	tools/keycloak

redeployments: keycloak  ## a site of QHub, redeployed with real QHub and a real Keycloak
	pytest tests/redeployments

tests: engine servers firewall browser keycloak  ## unit tests, real hubs, pages, redeployments and refusals in one run
	$(PYTEST) tests/refusals tests/hubs tests/redeployments tests/pages tests/unit

demo:  ## a real hub upgraded under build/demo, without root, Docker or Node
	demo/run

demo-clean:  ## stop the demo's hub and remove build/demo
	demo/clean

cores: images  ## sanity and unit tests with each supported ansible-core, a scenario with the oldest and the newest; for a release
	python -m tests.cores

bench: images servers firewall  ## measure outage, rehearsal, large databases and their move, a fleet's controller and index, many environments; writes build/bench.json
	python -m tests.bench
	python -m tests.bench.rehearsal
	python -m tests.bench.databases
	python -m tests.bench.moving
	python -m tests.bench.fleet
	python -m tests.bench.index
	python -m tests.bench.people
	python -m tests.bench.servers
	python -m tests.bench.environments

clean:  ## remove what the tests made: containers, build, caches
	demo/clean
	tools/remove-containers
	[ ! -d $(firstword $(wildcard /mnt/hubops) /var/lib/hubops-tests)/kubernetes ] || python -m tests.testbed.kubernetes down
	rm -rf build $(TMPDIR)/hubops-test-hubs-* .mypy_cache .pytest_cache .ruff_cache
