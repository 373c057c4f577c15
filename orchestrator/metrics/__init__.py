"""What the programs measure: one list of metrics, and their values for Prometheus.

| module | content |
|---|---|
| :mod:`.shapes` | the list: name, help, kind and labels of each metric, and who has it |
| :mod:`.cells` | counters and histograms of a process, in one row of numbers |
| :mod:`.shared` | rows that the processes of a worker share |
| :mod:`.showing` | all values in the text format of Prometheus |
| :mod:`.serving` | ``/metrics`` of workers and of the historian |
| :mod:`.dashboard`, :mod:`.panels` | the Grafana dashboard, made from the list |

Nothing here depends on the level of the log.
"""
