-- Run once, by the server's first start on an empty volume.
create database airflow;
create database warehouse;
create database features;
