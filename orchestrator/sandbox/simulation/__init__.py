"""A cloud that is not there: stand-ins for Heat's resource types that keep the real schemas.

* `types`: which types are replaced, and the one mixin that replaces their handlers;
* `documents`: what the "cloud" says about a resource (ids, addresses, `show`);
* `faults`: failures and delays on demand, by words in a resource's name;
* `constraints`: custom constraints that would look things up in a cloud;
* `agreeable`: the client library of a cloud that agrees to everything.

Only the sandbox's Heat process imports these modules: they need `openstack-heat` installed.
"""
