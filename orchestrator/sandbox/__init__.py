"""Real servers for trying things out, on one machine and without a cloud.

etcd and Redis are the real ones.
Heat is the real one too (API and engine in one process); only its resource types are replaced by
simulated ones that keep the real property and attribute schemas.
Everything listens on free loopback ports and keeps its data and logs below one folder.
The demo and the integration tests stand on this package; nothing that runs in production imports
it.

    with Processes(folder) as processes:
        etcd = servers.etcd(processes)
        redis = servers.redis(processes)
        heat = servers.heat(processes)
        collector = servers.collector(processes)
"""
