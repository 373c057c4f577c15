"""Tests on a cloud's own services: Keystone, heat-api, two heat-engines, MariaDB and RabbitMQ.

``make cloud`` runs them, on a machine where root may install Debian packages. Everything else skips
them. :mod:`.cloud` is where to begin reading; ``python -m tests.cloud`` starts the cloud alone.
"""
