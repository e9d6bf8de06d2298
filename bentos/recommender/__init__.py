"""The recommender: schemas, pipeline, service, storefront."""
