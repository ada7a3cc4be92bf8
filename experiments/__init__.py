"""Tables, sweeps and figures: thin code over the records that runs leave."""
