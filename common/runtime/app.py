"""The wiring: settings to adapters to what the functions call. The only place that chooses.

One `App` per process. Every part is made when it is first asked for, and its adapter imported then,
so that a function loads only what it uses.
"""

import gc
import os
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from common.llm.price_book import PriceBook, bundled_book
from common.llm.unmetered import read_unmetered
from common.runtime.engines import Engines, WarehouseWhenAsked
from common.runtime.function_settings import (
    InsightsSettings,
    PricingSettings,
    ProxySettings,
    TelemetrySettings,
)
from common.runtime.settings import ReachSettings, environment_secret, read_settings

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

    from common.adapters.google_identity import GoogleIdentity
    from common.adapters.telemetry import OtlpTelemetry
    from common.adapters.upstream import HttpUpstream
    from common.brownout.folding import Folding
    from common.brownout.policies import Policies
    from common.brownout.ticks import Ticker
    from common.budgets.holdings import Holdings
    from common.budgets.reconciled import Reconciler
    from common.budgets.sweep import Sweeper
    from common.core.events import CountedEvent
    from common.gateway.gateway import Gateway
    from common.incidents.notifying import Notifier
    from common.incidents.taking import Incidents
    from common.insights.running import Runs
    from common.pricing.in_force import Books
    from common.pricing.refresh import Refresher
    from common.reconciliation.running import Reconciliation
    from common.usage.apply_events import Applied
    from common.usage.feedback import CallsAndFeedback


class App(Engines):
    """All parts of one process."""

    @property
    def price_book(self) -> PriceBook:
        """The one that ships with the code."""
        return bundled_book()

    @cached_property
    def books(self) -> "Books":
        """The one in force, and others by their digests."""
        from common.pricing.in_force import Books

        return Books(self.documents, self.price_book)

    async def book_in_force(self) -> PriceBook:
        """Read when it is asked for: most of what may ask never does."""
        return await self.books.in_force()

    @cached_property
    def _upstream(self) -> "HttpUpstream":
        from common.adapters.upstream import HttpUpstream

        return HttpUpstream(read_settings(ReachSettings).https_proxy)

    @cached_property
    def _holdings(self) -> "Holdings":
        from common.budgets.holdings import Holdings

        return Holdings(self.documents, self.clock, self.entropy(16).hex(), self.entropy)

    @cached_property
    def _identity(self) -> "GoogleIdentity":
        from common.adapters.google_identity import GoogleIdentity

        return GoogleIdentity(self.clock, self._upstream)

    @cached_property
    def _telemetry(self) -> "OtlpTelemetry | None":
        """Where measurements go; None where nobody takes them, and OpenTelemetry is not loaded."""
        settings = read_settings(TelemetrySettings)
        if settings.otel_exporter_otlp_endpoint is None:
            return None
        from common.adapters.telemetry import OtlpTelemetry

        return OtlpTelemetry(
            self.clock,
            version=self.version,
            instance=self.entropy(8).hex(),
            timeout_s=settings.otel_exporter_otlp_timeout,
            sends_spans=settings.otel_traces_exporter == "otlp",
        )

    @cached_property
    def _policies(self) -> "Policies":
        from common.runtime.policies import policies_of

        return policies_of(self.documents)

    @cached_property
    def brownout_fold(self) -> "Folding":
        """Moves modes by the signals that are stored."""
        from common.brownout.folding import Folding

        return Folding(self.documents, self.bus, self.clock, self.entropy, self._policies)

    @cached_property
    def ticker(self) -> "Ticker":
        """Takes up, once a minute, what is left to do of brownouts."""
        from common.brownout.ticks import Ticker
        from common.runtime.episodes import closing_episodes
        from common.runtime.rollups import judging_rollups
        from common.runtime.sources import asking_datadog
        from common.runtime.telemetry import telling_minutes

        incidents = self.incidents
        others = {
            "escalate": incidents.escalate,
            "tell_incidents": incidents.publish,
            "episodes": closing_episodes(self.documents, self.book_in_force),
            **telling_minutes(self.documents, self._policies, self._telemetry),
        }
        datadog = asking_datadog(self.brownout_fold, lambda: self._upstream)
        rollups = judging_rollups(self.brownout_fold)
        return Ticker(self.brownout_fold, others, {"datadog": datadog, **rollups})

    @cached_property
    def incidents(self) -> "Incidents":
        """Makes incidents of what goes wrong."""
        from common.incidents.taking import Incidents
        from common.runtime.incidents import changes_of, rules_of

        return Incidents(
            self.documents,
            self.bus,
            self.clock,
            self.entropy,
            rules_of(self.documents, self._policies),
            changes_of(self.documents),
        )

    @cached_property
    def _to_channels(self) -> "HttpUpstream":
        from common.adapters.upstream import HttpUpstream

        return HttpUpstream()

    @cached_property
    def notifier(self) -> "Notifier":
        """Tells people what happened."""
        from common.runtime.notifications import make_notifier

        ports = (self.documents, self.bus, self.clock, self.entropy)
        return make_notifier(*ports, policies=self._policies, upstream=self._to_channels)

    @cached_property
    def gateway(self) -> "Gateway":
        """The application behind `proxy`."""
        from common.budgets.rate_windows import RateWindows
        from common.gateway.brownout_copy import BrownoutCopy
        from common.gateway.brownouts import Brownouts, even_draw
        from common.gateway.budget_book import BudgetBook
        from common.gateway.budget_use import BudgetUse
        from common.gateway.control import Control
        from common.gateway.destinations import Simulated
        from common.gateway.directory import Directory
        from common.gateway.expected_costs import ExpectedCosts
        from common.gateway.forwarding import Forwarding
        from common.gateway.gateway import Gateway, Limits
        from common.gateway.key_ring import KeyRing
        from common.gateway.override_copy import OverrideCopy
        from common.gateway.pool import Pool
        from common.gateway.price_copy import PriceCopy
        from common.gateway.rates import RateLimits
        from common.gateway.route_book import RouteBook
        from common.gateway.routing import Routing
        from common.gateway.sending import Sender
        from common.gateway.spending import Spending
        from common.gateway.upstream_health import UpstreamHealth

        settings = read_settings(ProxySettings)
        copy = BrownoutCopy(self._policies)
        prices = PriceCopy(self.books)
        control = Control(
            self.documents,
            self.clock,
            max_stale_s=settings.key_max_stale_s,
            followers=[copy],
            listeners=[prices.hear],
        )
        hash_key = self._hash_key(settings)
        draw = even_draw(hash_key)
        health = UpstreamHealth(self.clock)
        spending = Spending(
            BudgetBook(self.documents, self.clock, control), self._holdings, self.clock
        )
        simulated_url = settings.simulated_provider_url
        gateway = Gateway(
            keys=KeyRing(self.documents, self.clock, control),
            directory=Directory(self.documents, self.clock, control, environment_secret),
            routing=Routing(
                RouteBook(self.documents, self.clock, control),
                BudgetUse(spending, self.clock).of,
                health,
                ExpectedCosts(),
                draw,
            ),
            forwarding=Forwarding(
                rates=RateLimits(RateWindows(self.documents, self.clock, entropy=self.entropy)),
                brownouts=Brownouts(copy, self.clock, draw, self.entropy),
                spending=spending,
                sender=Sender(
                    upstream=self._upstream,
                    clock=self.clock,
                    pool=Pool(self.clock),
                    hash_key=hash_key,
                    entropy=self.entropy,
                    simulated=Simulated(simulated_url) if simulated_url else None,
                    identity=self._identity,
                    test_upstream=settings.test_llm_upstream,
                ),
                health=health,
            ),
            bus=self.bus,
            clock=self.clock,
            entropy=self.entropy,
            prices=prices,
            overrides=OverrideCopy(self.documents, self.clock, control),
            hash_key=hash_key,
            version=self.version,
            limits=Limits(
                first_byte_s=settings.first_byte_timeout_s,
                idle_s=settings.idle_timeout_s,
                call_s=settings.call_timeout_s,
            ),
            unmetered=read_unmetered(settings.unmetered_paths),
        )
        # What is loaded by now stays: collections need not walk it each time, which calls would
        # wait for (milliseconds, at the 99th percentile).
        gc.collect()
        gc.freeze()
        return gateway

    @cached_property
    def usage(self) -> "CallsAndFeedback":
        """Counts usage events in rollups, and tells telemetry of them."""
        from common.usage.apply_events import OpenRollups, apply_events
        from common.usage.feedback import CallsAndFeedback, Feedback
        from common.usage.gathering import Gathering

        open_rollups = OpenRollups()

        def apply(events: "Sequence[CountedEvent]") -> "Awaitable[Applied]":
            return apply_events(self.documents, events, self.clock, open_rollups=open_rollups)

        feedback = Feedback(self.documents, self.clock, self._telemetry)
        if self._telemetry is None:
            return CallsAndFeedback(Gathering(apply), feedback)
        from common.usage.telling import Telling

        share = read_settings(TelemetrySettings).otel_traces_sampler_arg
        return CallsAndFeedback(Telling(apply, self._telemetry, share), feedback)

    @cached_property
    def sweeper(self) -> "Sweeper":
        """Looks after budgets, once a minute."""
        from common.budgets.sweep import Sweeper
        from common.runtime.spending import spent_before, spent_of
        from common.usage.spent import Spent

        spent = Spent(self.documents, WarehouseWhenAsked(self), self.clock)
        return Sweeper(
            self.documents,
            self.bus,
            self.clock,
            self.entropy,
            spent_of(spent),
            spent_before(spent),
        )

    @cached_property
    def refresher(self) -> "Refresher":
        """Takes the newest public prices, once a day."""
        from common.runtime.prices import make_refresher

        return make_refresher(
            self.documents,
            self.bus,
            self.clock,
            self.entropy,
            warehouse=WarehouseWhenAsked(self),
            upstream=self._upstream,
            url=read_settings(PricingSettings).price_source_url,
        )

    @cached_property
    def insights(self) -> "Runs":
        """Looks for what deserves a look in the ledger."""
        from common.insights.running import Runs
        from common.runtime.insights import StoredBudgets
        from common.runtime.spending import spent_of
        from common.usage.spent import Spent

        warehouse = WarehouseWhenAsked(self)
        spent = Spent(self.documents, warehouse, self.clock)
        return Runs(
            self.documents,
            warehouse,
            self.bus,
            self.clock,
            self.entropy,
            self.book_in_force,
            StoredBudgets(self.documents, spent_of(spent)),
        )

    @cached_property
    def reconciliation(self) -> "Reconciliation":
        """Holds what providers billed against our events."""
        from common.reconciliation.running import Reconciliation
        from common.runtime.accounts import billed_accounts

        return Reconciliation(
            self.documents,
            self.bus,
            self.clock,
            self.entropy,
            WarehouseWhenAsked(self),
            self.book_in_force,
            billed_accounts(read_settings(InsightsSettings), lambda: self._upstream),
        )

    @cached_property
    def reconciler(self) -> "Reconciler":
        """Releases what a provider's bill proves unspent."""
        from common.budgets.reconciled import Reconciler
        from common.usage.proof import Proof

        proof = Proof(WarehouseWhenAsked(self))
        return Reconciler(self.documents, self.clock, self.entropy, proof)

    async def aclose(self, drain_s: float = 10.0) -> None:
        """Finish deliveries, then close what was opened."""
        await super().aclose(drain_s)
        for part in ("_upstream", "_to_channels", "_telemetry"):
            if self.__dict__.get(part) is not None:
                await self.__dict__[part].aclose()

    def _hash_key(self, settings: ProxySettings) -> bytes:
        if settings.fingerprint_key is not None:
            return settings.fingerprint_key.get_secret_value().encode()
        return _kept_secret(self._file(None, "fingerprint.key"))


@cache
def app() -> App:
    """The process's one App."""
    return App()


def _kept_secret(path: Path) -> bytes:
    """Random bytes that are made once and kept in a file only its owner can read."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_bytes()
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(32))
    return path.read_bytes()
