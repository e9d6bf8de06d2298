"""What may go live: gate, bundle, ledger, rollback."""
