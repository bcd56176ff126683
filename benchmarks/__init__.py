"""Programs that measure: how fast frames come, whether they are exact, and what damaged files do.

Run each one from the root of a clone, as a module: ``python -m benchmarks.bench_frames``. Python then imports
the asyncframes of that clone, unless a program says otherwise.

``peers`` has one adapter for each way to get frames, and ``probes`` what is measured of asyncframes alone;
``contest`` runs both in turn and reports, over the servers in ``servers``.
"""
