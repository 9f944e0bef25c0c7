"""The record and the store.

a record    record, made of blocks and parts; invariants, migrations, schema; describe (in words), questions
its place   roots (a folder, or object_store), layout, slugs, reading; samples (predictions), predicted, rescore
the store   store, what it knows (known), withdrawals, packing, keeping (import, gc), sources and git, seeds
others' say verifications, disputes, trust (in who signed), standing (what it comes to)
its index   index, index_schema, index_rows, index_update, rebuild; query, listing, exporting, difference
"""
