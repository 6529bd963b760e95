"""The story of one message, in the order in which it happens.

`accept` is the single way in, and reads as a table of contents of the first four steps.

1. `identify`: who sends, and may they.
2. `route`: where each recipient's mail goes.
3. `protect`: sign and encrypt what leaves, decrypt and verify what arrives.
4. `commit`: bodies, then one transaction; only now does the door answer 250 or 202.
5. `deliver`: carry a queued delivery to its operator.
6. `notify`: write the reports that are owed; they come in again by `accept`.
7. `correlate`: attach an incoming report to the delivery that it is about.
"""
