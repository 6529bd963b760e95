"""The story of one message, in the order in which it happens.

1. `accept`: the single way in; reads as a table of contents.
2. `identify`: who sends, and may they.
3. `route`: where each recipient's mail goes.
4. `protect`: sign and encrypt what leaves, decrypt and verify what arrives.
5. `commit`: bodies, then one transaction; only now does the door answer 250 or 202.
6. `deliver`: carry a queued delivery to its operator.
7. `notify`: write the reports that are owed; they come in again by `accept`.
8. `correlate`: attach an incoming report to the delivery that it is about.
"""
